//! The programs of examples/ are built, and chat as they should.

mod embedding;
mod fit;
mod moving;
mod programs;
mod room;
mod talker;
