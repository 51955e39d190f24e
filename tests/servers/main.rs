//! wsbench against servers that nobody here wrote. `tests/servers/NAME.sh install` installs one; a test whose server isn't
//! there is passed over, unless `WSBENCH_SERVERS` is set (as in `.ci/run`), which makes all of them a must; `none` passes over
//! all of them. Many machines are tested here too, since what carries their messages is one of these servers.

#[path = "../agents/mod.rs"]
mod agents;
mod bus;
mod custom;
mod harness;
mod mosquitto;
mod nats;
mod nchan;
mod socketio;
