//! The program as a person runs it: files and flags in; reports, messages and exit codes out.

mod accounting;
mod addresses;
mod capacity;
mod compare;
mod custom;
mod duet;
mod exports;
mod harness;
mod history;
mod interrupts;
mod mistakes;
mod processes;
mod replay;
mod runs;
mod sabotage;
mod secrets;
mod selftest;
mod serve;
mod targets;
mod thresholds;
mod tls;
