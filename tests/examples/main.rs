//! The programs of examples/ are built, and chat as they should.

use std::path::Path;

#[path = "../common/child.rs"]
mod child;
#[path = "../common/client.rs"]
#[expect(dead_code, reason = "the server's tests need more of a client")]
mod client;
#[path = "../common/compiler.rs"]
mod compiler;
#[path = "../common/installed.rs"]
mod installed;
#[path = "../common/make.rs"]
mod make;
#[path = "../common/program.rs"]
#[expect(dead_code, reason = "the server's tests need more of a program")]
mod program;

mod embedding;
mod moving;
mod programs;
mod room;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
