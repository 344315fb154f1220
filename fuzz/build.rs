//! Compiles the server's filters, with the fuzzer's instruments where clang is there.

use std::env;

fn main() {
    let mut build = cc::Build::new();
    if env::var_os("CARGO_CFG_FUZZING").is_some()
        && cc::Build::new()
            .compiler("clang")
            .try_get_compiler()
            .is_ok_and(|clang| clang.is_like_clang())
    {
        build
            .compiler("clang")
            .flag("-fsanitize=address")
            .flag("-fsanitize-coverage=inline-8bit-counters,pc-table");
    }
    for name in ["common/telnet", "server/printable"] {
        let stem = format!("../src/{name}");
        println!("cargo::rerun-if-changed={stem}.c");
        println!("cargo::rerun-if-changed={stem}.h");
        build.file(stem + ".c");
    }
    build.compile("filters");
}
