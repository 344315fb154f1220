//! The committed headers are those that cbindgen makes from the sources.

use crate::common::folders::root;
use std::{env, fs};

/// `make header` sets this to have the headers rewritten instead of compared.
const RENEW: &str = "RENEW_HEADER";

fn check(header: &str, sources: &[&str], config: &str) {
    let root = root();
    let mut generated = Vec::new();
    sources
        .iter()
        .fold(cbindgen::Builder::new(), |builder, source| builder.with_src(root.join(source)))
        .with_config(cbindgen::Config::from_file(root.join(config)).expect("a configuration"))
        .generate()
        .expect("the source makes a header")
        .write(&mut generated);
    // Rust's section title means nothing to readers of C.
    let generated = String::from_utf8(generated).expect("a header is text");
    let generated = generated.replace(" * # Safety\n *\n", " * Preconditions:\n");
    let committed = root.join(header);
    if env::var_os(RENEW).is_some() {
        fs::write(&committed, generated).expect("include/ can be written");
        return;
    }
    let committed = fs::read_to_string(&committed).expect("the header is there");
    assert_eq!(committed, generated, "{header} is stale: `make header` renews it");
}

#[test]
fn chat_server_h_is_what_ffi_rs_says() {
    check("include/chatServer.h", &["src/abi.rs", "src/ffi.rs"], "cbindgen.toml");
}

#[test]
fn chat_server_ext_h_is_what_ffi_ext_rs_says() {
    check("include/chatServerExt.h", &["src/ffi_ext.rs"], "cbindgenExt.toml");
}
