//! One room over many servers, with real brokers: whatever fails, nobody hears a line twice, torn,
//! out of order or back from the room, what is said at a server arrives at all of its clients, and
//! what does not arrive at another is what the promises allow, and is told.
//!
//! Every line is checked at every client. The programs' logs are in build/rooms/.

mod faults;
mod floods;
mod others;
mod refused;
mod topologies;
mod usage;
