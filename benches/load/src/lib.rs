//! What the load generator (`main.rs`) and the soak test (`bin/soak`) have in common.

pub mod cell;
pub mod contender;
pub mod machine;
pub mod room;
