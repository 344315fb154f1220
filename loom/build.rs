//! Writes variants of `src/index.rs` with loom's atomics: the index as it is, and one for each of
//! some faults.

use std::path::Path;
use std::{env, fs};

const INDEX: &str = "../src/index.rs";

/// What the library has, and what a variant has in its place.
const VARIANTS: [(&str, &str, &str); 5] = [
    ("sound", "", ""),
    ("no_mark", "slot.pool.swap(BUSY, Ordering::AcqRel)", "slot.pool.load(Ordering::Acquire)"),
    ("relaxed_load", "slot.conn.load(Ordering::Acquire)", "slot.conn.load(Ordering::Relaxed)"),
    ("no_second_look", "(slot.pool.load(Ordering::Relaxed) == pool).then_some(conn)", "Some(conn)"),
    (
        "relaxed_is_free",
        "slot.pool.load(Ordering::Acquire).is_null()",
        "slot.pool.load(Ordering::Relaxed).is_null()",
    ),
];

/// Loom's atomics cannot be made in a constant.
const SLOTS: &str = "loom::lazy_static! {
    static ref SLOTS: [Slot; fdset::CAPACITY] = std::array::from_fn(|_| Slot {
        pool: AtomicPtr::new(ptr::null_mut()),
        conn: AtomicPtr::new(ptr::null_mut()),
        contested: AtomicBool::new(false),
    });
}";

fn main() {
    println!("cargo::rerun-if-changed={INDEX}");
    let source = fs::read_to_string(INDEX).expect("the library is there");
    let code: Vec<_> = source.lines().filter(|line| !line.starts_with("//!")).collect();
    let index = replaced(&code.join("\n"), "core::sync::atomic", "loom::sync::atomic");
    let start = index.find("static SLOTS").expect("the table");
    let end = "; fdset::CAPACITY];";
    let length = index[start..].find(end).expect("the end of the table") + end.len();
    let index = replaced(&index, &index[start..start + length], SLOTS);
    let folder = env::var("OUT_DIR").expect("Cargo sets it");
    for (name, right, wrong) in VARIANTS {
        let variant = if right.is_empty() { index.clone() } else { replaced(&index, right, wrong) };
        fs::write(Path::new(&folder).join(name), variant).expect("it can be written");
    }
}

fn replaced(text: &str, what: &str, by: &str) -> String {
    assert_eq!(text.matches(what).count(), 1, "{INDEX}: {what}");
    text.replace(what, by)
}
