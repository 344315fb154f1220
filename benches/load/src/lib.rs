//! What putting a chat server under load takes, whether it is for measuring (`main.rs`) or for
//! finding out whether it holds (`bin/soak`).

pub mod cell;
pub mod contender;
pub mod machine;
pub mod room;
