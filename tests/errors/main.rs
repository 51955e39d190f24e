//! Every transport against real listeners: each way to misbehave is an error class of its own, and good behaviour is
//! counted to the byte. All listeners are on port 0 of the loopback and live as long as their test.

mod authority;
mod brokers;
mod deflate;
mod good;
mod harness;
mod http;
mod http2;
mod hub;
mod identity;
mod requests;
mod streams;
mod tls;
mod unix;
mod websocket;
