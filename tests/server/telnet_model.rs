//! The server's filters against a model (`tests/model/telnet.rs`): any bytes, in any pieces.

#[path = "../model/telnet.rs"]
mod model;

use crate::compiler;
use crate::harness::scratch;
use libloading::Library;
use model::{Functions, play};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

fn functions() -> &'static Functions {
    static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let program = scratch("filters").join("filters.so");
        let arguments = [folder.join("server/printable.c").display().to_string()]
            .into_iter()
            .chain(["-shared", "-fPIC"].map(str::to_owned))
            .collect::<Vec<_>>();
        compiler::build(&folder.join("common/telnet.c"), &arguments, &program)
            .expect("it can be built");
        // SAFETY: nothing runs when it is loaded, it is never unloaded, and the types are those of
        // the two headers.
        unsafe {
            let library = Box::leak(Box::new(Library::new(&program).expect("it can be loaded")));
            Functions {
                telnet_filter: *library.get(b"telnet_filter").expect("it is there"),
                printable_filter: *library.get(b"printable_filter").expect("it is there"),
            }
        }
    });
    &FUNCTIONS
}

/// Bytes of which many mean something.
fn byte() -> impl Strategy<Value = u8> {
    let special = [
        &b"\xff\xff\xff\xfa\xf0\xfb\xfc\xfd\xfe\xec\xeb\xf4\r\0\n"[..],
        b"\x1b\x7f\xc2\x9b\xe2\x9c\x93\xf0\x9f",
    ]
    .concat();
    prop_oneof![proptest::sample::select(special), any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_in_any_pieces_are_filtered_as_the_model_says(bytes in vec(byte(), 0..300)) {
        play(&bytes, functions());
    }
}

/// What the fuzzer has found worth keeping.
#[test]
fn what_the_fuzzer_found_is_filtered_as_the_model_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/telnet");
    for file in fs::read_dir(folder).expect("the corpus is there") {
        play(&fs::read(file.expect("an entry").path()).expect("it can be read"), functions());
    }
}
