//! One run over many machines, end to end: a real nats-server, with the users and permissions of `deploy/nats.conf`; agents as
//! processes of this machine, or in network namespaces of their own.

mod deployment;
mod fleet;
mod losses;
mod namespaces;
mod raw;
mod refusals;
mod same;
mod stand;
