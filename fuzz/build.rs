//! Compiles the server's filters and the relay, with the fuzzer's instruments where clang is there.

use cc::Build;
use std::env;
use std::path::{Path, PathBuf};

fn instrumented() -> Build {
    let mut build = Build::new();
    if env::var_os("CARGO_CFG_FUZZING").is_some()
        && Build::new()
            .compiler("clang")
            .try_get_compiler()
            .is_ok_and(|clang| clang.is_like_clang())
    {
        build
            .compiler("clang")
            .flag("-fsanitize=address")
            .flag("-fsanitize-coverage=inline-8bit-counters,pc-table");
    }
    build
}

/// The C files in a folder of `src`. `relay.c` includes two, has other functions for the log, and
/// the filters are the server's, too.
fn relay_sources(folder: &str) -> impl Iterator<Item = PathBuf> {
    let files = Path::new("../src").join(folder).read_dir().expect("a folder");
    let paths = files.map(|file| file.expect("it can be listed").path());
    paths.filter(|path| {
        path.extension().is_some_and(|extension| extension == "c")
            && !["chatRelay.c", "broker.c", "log.c", "telnet.c"]
                .contains(&path.file_name().and_then(|name| name.to_str()).expect("a name"))
    })
}

fn main() {
    for folder in ["common", "relay", "server"] {
        println!("cargo::rerun-if-changed=../src/{folder}");
    }
    println!("cargo::rerun-if-changed=src/relay.c");
    instrumented()
        .files(["../src/common/telnet.c", "../src/server/printable.c"])
        .compile("filters");
    if env::var_os("CARGO_FEATURE_RELAY").is_some() {
        instrumented()
            .define("VERSION", "\"fuzz\"")
            .file("src/relay.c")
            .files(["common", "relay"].into_iter().flat_map(relay_sources))
            .compile("relay");
        println!("cargo::rustc-link-lib=mosquitto");
    }
}
