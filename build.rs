//! Sets the SONAME of the shared object that Cargo links, and tells the tests the target's name.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let major = env::var("CARGO_PKG_VERSION_MAJOR").expect("set by Cargo");
    let target = env::var("TARGET").expect("set by Cargo");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libchatserver.so.{major}");
    println!("cargo::rustc-env=TARGET={target}");
}
