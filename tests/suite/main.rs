//! The tests of everything but the library's behaviour in C (`c-tests/`) and the server's
//! (`tests/server/`): a module for each thing that is tested.

#[path = "../common/mod.rs"]
mod common;

mod abi;
mod artifacts;
mod builds;
mod dist;
mod examples;
mod header;
mod header_matrix;
mod install;
mod instruments;
mod layers;
mod layout;
mod manual;
mod properties;
mod readme;
mod relay_parts;
mod versions;
