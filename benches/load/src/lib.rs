//! What the load generator (`main.rs`), the soak test (`bin/soak`) and the relay's tests have in
//! common.

pub mod brokers;
pub mod cell;
pub mod contender;
pub mod generator;
pub mod inbox;
pub mod ledger;
pub mod line;
pub mod machine;
#[path = "../../../tests/common/ports.rs"]
pub mod ports;
pub mod room;
pub mod rooms;
pub mod talk;
