//! The programs of examples/ are built, and chat as they should.

use std::path::Path;

mod embedding;
mod fit;
mod moving;
mod programs;
mod room;
mod talker;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
