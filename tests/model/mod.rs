//! What programs may do with a pool, and a model that knows what must come of it.
//!
//! Two drive it: `tests/properties.rs` with random sequences, against the shared object, and
//! `fuzz/` with sequences that a fuzzer finds by what they reach. Each brings a module `library`
//! of its own, the functions under test. A sequence is bytes to both, four a step (`step`), so
//! what the fuzzer has found is replayed by the tests.
//!
//! | module | what it is |
//! |---|---|
//! | `step` | one thing that a program or a peer does |
//! | `room` | plays a sequence, and compares after every step |
//! | `calls` | the library's functions, on a pool that is sound |
//! | `hands` | what programs do to a pool without the library |
//! | `expected` | the model: every queue, set and counter |
//! | `socket` | a descriptor in the room, and the peer at its other end |
//! | `line` | the model of what `chat_feed` makes of chunks, and a player for it alone |

use super::library;

pub(crate) mod calls;
pub(crate) mod expected;
pub(crate) mod hands;
pub(crate) mod line;
pub(crate) mod room;
pub(crate) mod socket;
pub(crate) mod step;
