//! The parts of `src/relay/` that need neither a server nor a broker.

use crate::common::compiler;
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What the tests call: the functions with the structs behind them.
const GLUE: &str = r#"
#include "options.h"
#include "origins.h"
#include "spool.h"
#include <string.h>

static struct origins origins;
static struct spool spool;

void begin(size_t limit)
{
	while (spool.first != NULL)
		spool_remove_first(&spool);
	memset(&origins, 0, sizeof origins);
	spool = (struct spool){ .limit = limit };
}

int take(const char *name, const char *text, uint64_t lines, uint64_t *lost)
{
	struct origin *origin = origins_find(&origins, name);
	struct stamp stamp;
	int verdict;

	if (!stamp_parse(text, &stamp))
		return -1;
	if (origin == NULL)
		return -2;
	verdict = (int)origin_check(origin, &stamp, lines, lost);
	origin->unlogged += *lost;
	return verdict;
}

void begin_epoch(uint64_t now)
{
	spool_begin_epoch(&spool, now);
}

uint64_t put(const char *text)
{
	spool_add(&spool, text, strlen(text));
	return spool.lost;
}

/* Formats the first message as STAMP LINES TEXT, and removes it. */
int get(char *text)
{
	const struct message *first = spool.first;

	if (first == NULL)
		return spool.last == NULL && spool.bytes == 0 && spool.lines == 0 ? 0 : -1;
	stamp_format(&first->stamp, text);
	strcat(text, " ");
	strncat(text, first->text, first->length);
	spool_remove_first(&spool);
	return 1;
}
"#;

struct Parts {
    library: Library,
    _alone: MutexGuard<'static, ()>,
}

fn built() -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("relay_parts");
        fs::create_dir_all(&folder).expect("a folder");
        let source = folder.join("glue.c");
        fs::write(&source, GLUE).expect("a file");
        let sources = ["common/line_ends", "common/number", "relay/options", "relay/origins"];
        let sources = sources.iter().chain(&["relay/spool", "relay/stamp"]);
        let sources = sources.map(|name| root.join(format!("src/{name}.c")).display().to_string());
        let include = format!("-I{}", root.join("src/relay").display());
        let flags = ["-shared", "-fPIC", "-DVERSION=\"0\"", &include].map(str::to_owned);
        let object = folder.join("parts.so");
        compiler::build(&source, &sources.chain(flags).collect::<Vec<_>>(), &object)
            .expect("it can be built");
        object
    });
    BUILT.clone()
}

impl Parts {
    /// With an empty spool of this size, and with nothing heard. One test at a time has them.
    fn new(limit: usize) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: nothing runs when it is loaded.
        let library = unsafe { Library::new(built()) }.expect("it can be loaded");
        let parts = Self { library, _alone: alone };
        // SAFETY: here and below, the types are those of the sources.
        unsafe { parts.symbol::<unsafe extern "C" fn(usize)>("begin")(limit) };
        parts
    }

    fn symbol<T: Copy>(&self, name: &str) -> T {
        // SAFETY: that is for the callers, which have the types from the source.
        unsafe { *self.library.get(name.as_bytes()).expect("it is there") }
    }

    /// The verdict on a message, and how many lines are missing before it.
    fn take(&self, name: &str, stamp: &str, lines: u64) -> (c_int, u64) {
        type Take = unsafe extern "C" fn(*const c_char, *const c_char, u64, *mut u64) -> c_int;
        let [name, stamp] = [name, stamp].map(|text| CString::new(text).expect("no NUL"));
        let mut lost = 0;
        let take = self.symbol::<Take>("take");
        // SAFETY: see `new`.
        (unsafe { take(name.as_ptr(), stamp.as_ptr(), lines, &mut lost) }, lost)
    }

    fn begin_epoch(&self, now: u64) {
        // SAFETY: see `new`.
        unsafe { self.symbol::<unsafe extern "C" fn(u64)>("begin_epoch")(now) };
    }

    /// Spools a text, and returns how many lines have been lost so far.
    fn put(&self, text: &str) -> u64 {
        let text = CString::new(text).expect("no NUL");
        // SAFETY: see `new`.
        unsafe { self.symbol::<unsafe extern "C" fn(*const c_char) -> u64>("put")(text.as_ptr()) }
    }

    /// The first message in the spool, after its stamp; `None` when the spool is sound and empty.
    fn get(&self) -> Option<String> {
        let mut text = [0_u8; 4096];
        let get = self.symbol::<unsafe extern "C" fn(*mut u8) -> c_int>("get");
        // SAFETY: see `new`; no test spools a message that is longer.
        let outcome = unsafe { get(text.as_mut_ptr()) };
        assert_ne!(outcome, -1, "it is empty, and counts something");
        let text = CStr::from_bytes_until_nul(&text).expect("its end");
        (outcome == 1).then(|| text.to_str().expect("text").to_owned())
    }

    /// Host and port of an address; `None` where it is none.
    fn split(&self, text: &str, is_port: bool) -> Option<(String, String)> {
        type Split =
            unsafe extern "C" fn(*mut c_char, bool, *mut *const c_char, *mut *const c_char) -> bool;
        let mut text = CString::new(text).expect("no NUL").into_bytes_with_nul();
        let (mut host, mut port) = (ptr::null(), ptr::null());
        let split = self.symbol::<Split>("split_address");
        let name = |text: *const c_char| {
            // SAFETY: it is NULL or points into the text.
            let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
            text.map_or("-", |text| text.to_str().expect("text")).to_owned()
        };
        // SAFETY: see `new`.
        unsafe { split(text.as_mut_ptr().cast(), is_port, &mut host, &mut port) }
            .then(|| (name(host), name(port)))
    }
}

const GOES_ON: c_int = 0;
const SKIPS: c_int = 1;
const BEGINS_EPOCH: c_int = 2;
const REPEATS: c_int = 3;

#[test]
fn what_comes_twice_is_recognized() {
    let parts = Parts::new(0);
    assert_eq!(parts.take("a", "5.1.0", 3), (GOES_ON, 0));
    assert_eq!(parts.take("a", "5.1.0", 3), (REPEATS, 0));
    assert_eq!(parts.take("a", "5.2.3", 1), (GOES_ON, 0));
    assert_eq!(parts.take("a", "5.1.0", 3), (REPEATS, 0));
    assert_eq!(parts.take("b", "5.1.0", 3), (GOES_ON, 0), "another's numbers are another's");
}

#[test]
fn a_gap_tells_how_many_lines_are_missing() {
    let parts = Parts::new(0);
    assert_eq!(parts.take("a", "5.7.100", 2), (GOES_ON, 0), "nothing was missed before");
    assert_eq!(parts.take("a", "5.9.112", 1), (SKIPS, 10));
    assert_eq!(parts.take("a", "5.10.113", 1), (GOES_ON, 0));
    // Nobody's numbers go backwards, but anybody may send some.
    assert_eq!(parts.take("a", "5.12.5", 1), (SKIPS, 0));
}

#[test]
fn a_new_epoch_tells_what_is_missing_at_its_start() {
    let parts = Parts::new(0);
    parts.take("a", "5.7.100", 2);
    assert_eq!(parts.take("a", "6.1.0", 2), (BEGINS_EPOCH, 0));
    assert_eq!(parts.take("a", "7.3.20", 2), (BEGINS_EPOCH, 20));
    assert_eq!(parts.take("a", "7.4.22", 2), (GOES_ON, 0));
}

/// A broker delivers again what it believes has not arrived.
#[test]
fn earlier_epochs_are_remembered() {
    let parts = Parts::new(0);
    for epoch in ["5", "6", "7", "8"] {
        parts.take("a", &format!("{epoch}.1.0"), 1);
    }
    for epoch in ["5", "6", "7", "8"] {
        assert_eq!(parts.take("a", &format!("{epoch}.1.0"), 1), (REPEATS, 0), "{epoch}");
    }
    assert_eq!(parts.take("a", "7.2.1", 1), (SKIPS, 0), "it does not follow the last message");
    assert_eq!(parts.take("a", "8.2.1", 1), (GOES_ON, 0));
}

/// There is room for 256.
#[test]
fn of_many_relays_those_not_heard_for_longest_are_forgotten() {
    let parts = Parts::new(0);
    for name in 0..256 {
        parts.take(&name.to_string(), "5.1.0", 1);
    }
    assert_eq!(parts.take("0", "5.1.0", 1), (REPEATS, 0));
    parts.take("one more", "5.1.0", 1);
    assert_eq!(parts.take("0", "5.1.0", 1), (REPEATS, 0));
    assert_eq!(parts.take("1", "5.1.0", 1), (GOES_ON, 0), "it had to make room");
    assert_eq!(parts.take(&"x".repeat(64), "5.1.0", 1).0, -2, "its name is too long");
}

#[test]
fn a_relay_whose_lost_lines_are_not_logged_is_not_forgotten() {
    let parts = Parts::new(0);
    parts.take("0", "5.1.0", 1);
    assert_eq!(parts.take("0", "5.3.9", 1), (SKIPS, 8));
    for name in 1..=256 {
        parts.take(&name.to_string(), "5.1.0", 1);
    }
    assert_eq!(parts.take("0", "5.3.9", 1), (REPEATS, 0));
    assert_eq!(parts.take("1", "5.1.0", 1), (GOES_ON, 0), "it had to make room");
}

#[test]
fn what_is_no_stamp_is_none() {
    let parts = Parts::new(0);
    for text in ["", "1", "1.2", "1.2.", "1.2.3.", "1.2.3x", "-1.2.3", " 1.2.3", "1..3", ".2.3"] {
        assert_eq!(parts.take("a", text, 1).0, -1, "{text:?}");
    }
    assert_eq!(parts.take("a", "1.18446744073709551616.3", 1).0, -1);
    assert_eq!(parts.take("a", "1.18446744073709551615.3", 1).0, GOES_ON);
}

#[test]
fn a_spool_is_first_in_first_out() {
    let parts = Parts::new(4096);
    parts.begin_epoch(1000);
    assert_eq!([parts.put("one\ntwo\n"), parts.put("three\n")], [0, 0]);
    assert_eq!(parts.get().as_deref(), Some("1000.1.0 one\ntwo\n"));
    parts.begin_epoch(1000);
    parts.put("four\n");
    assert_eq!(parts.get().as_deref(), Some("1000.2.2 three\n"));
    assert_eq!(parts.get().as_deref(), Some("1001.1.0 four\n"), "each epoch is another one");
    assert_eq!(parts.get(), None);
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_lines() {
    let parts = Parts::new(1000);
    parts.begin_epoch(1);
    let text = "x".repeat(196) + "\ny\n\n";
    let lost: Vec<_> = (0..5).map(|_| parts.put(&text)).collect();
    assert_eq!(lost, [0, 0, 0, 3, 6]);
    for stamp in ["1.3.6", "1.4.9", "1.5.12"] {
        assert_eq!(parts.get(), Some(format!("{stamp} {text}")));
    }
    assert_eq!(parts.get(), None);
}

#[test]
fn addresses_are_split_into_host_and_port() {
    let parts = Parts::new(0);
    let cases = [
        ("5551", true, "-", "5551"),
        ("alpha:5551", true, "alpha", "5551"),
        ("[::1]:5551", true, "::1", "5551"),
        ("alpha", false, "alpha", "-"),
        ("alpha:1884", false, "alpha", "1884"),
        ("[fe80::1%eth0]", false, "fe80::1%eth0", "-"),
        ("[::1]:1884", false, "::1", "1884"),
    ];
    for (text, is_port, host, port) in cases {
        let wanted = Some((host.to_owned(), port.to_owned()));
        assert_eq!(parts.split(text, is_port), wanted, "{text}");
    }
    for (text, is_port) in [
        ("", false),
        ("", true),
        ("x", true),
        ("[::1]", true),
        ("0", true),
        ("65536", true),
        (":5551", true),
        ("alpha:", true),
        ("::1", false),
        ("::1:1884", false),
        ("[::1", false),
        ("[::1]x", false),
        ("[]:1", false),
    ] {
        assert_eq!(parts.split(text, is_port), None, "{text}");
    }
}

#[test]
fn a_name_fits_into_a_topic() {
    let parts = Parts::new(0);
    let is_name = parts.symbol::<unsafe extern "C" fn(*const c_char) -> bool>("is_name");
    let is_name = |text: &str| {
        let text = CString::new(text).expect("no NUL");
        // SAFETY: see `new`.
        unsafe { is_name(text.as_ptr()) }
    };
    for text in ["room", "alpha.example-5551", "Kneipe_2", "ü", &"x".repeat(63)] {
        assert!(is_name(text), "{text}");
    }
    for text in ["", "a/b", "+", "a#", "a b", "tab\t", "\x7f", &"x".repeat(64)] {
        assert!(!is_name(text), "{text}");
    }
}
