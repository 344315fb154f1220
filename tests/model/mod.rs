//! What programs may do with a pool, and a model that says what the result must be.
//!
//! `tests/suite/properties/` plays random sequences against the shared object, and `fuzz/` those
//! that a fuzzer finds by coverage. Each brings a module `library` with the functions under test.
//! Both encode a sequence in bytes, four a step (`step`), so the tests replay what the fuzzer has
//! found.
//!
//! | module | what it is |
//! |---|---|
//! | `step` | one thing that a program or a peer does |
//! | `room` | plays a sequence, and compares after every step |
//! | `calls` | the library's functions on a sound pool |
//! | `direct_access` | what programs do to a pool without the library |
//! | `model` | the model: every queue, set and counter |
//! | `socket` | a descriptor in the pool, and the peer at its other end |
//! | `line` | the model of what `chat_feed` makes of chunks, and a player for it alone |

use super::library;

pub(crate) mod calls;
pub(crate) mod direct_access;
pub(crate) mod line;
#[expect(clippy::module_inception, reason = "the folder also holds what plays and compares")]
pub(crate) mod model;
pub(crate) mod room;
pub(crate) mod socket;
pub(crate) mod step;
