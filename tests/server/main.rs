//! The real ./server in a process of its own, and clients that talk to it over TCP.
//!
//! Nothing here sleeps for something to happen: the server tells what it does line by line, and
//! a test waits for the line. Every test has a server and a port of its own.

#[path = "../common/mod.rs"]
mod common;

use common::{child, client, compiler, folders, installed, make, ports, program, valgrind};

mod harness;

mod activation;
mod backpressure;
mod descriptors;
mod failing_calls;
mod fairness;
mod flow;
mod injected;
mod leaving;
mod limits;
mod lines;
mod listening;
mod log;
mod memory;
mod misbehaving_clients;
mod options;
mod output;
mod printable;
mod random_chat;
mod recipients;
mod shutdown;
mod signals;
mod slow;
mod stats;
mod systemd;
mod telnet;
mod telnet_client;
mod telnet_model;
mod tls;
mod tools;
mod transcript;
mod usage;
