//! The rules of `src/server/flow.h`, with a clock of our own.

use crate::compiler;
use crate::harness::scratch;
use libc::{c_int, fd_set};
use libloading::Library;
use std::ffi::c_void;
use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

const SECOND: i64 = 1_000_000;
/// How long a pass takes, and how much is read from a flooder in it.
const PASS: i64 = SECOND / 1000;
const READ: usize = 16 << 10;

const QUEUE: usize = 8 << 20;
const READER: c_int = 7;
const FLOODER: c_int = 9;

/// flow.c with its clock and its state in variables.
fn built() -> &'static Path {
    static OBJECT: LazyLock<PathBuf> = LazyLock::new(|| {
        let source = scratch("flow").join("flow.c");
        let flow = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/flow.c");
        let clock = "#define _GNU_SOURCE\n#include <time.h>\n#undef _GNU_SOURCE\n\
             long now = 1000000000;\nstatic int own_clock(int clock, struct timespec *at)\n\
             {\n(void)clock;\nat->tv_sec = now / 1000000;\nat->tv_nsec = now % 1000000 * 1000;\n\
             return 0;\n}\n#define clock_gettime own_clock\n";
        let text = format!(
            "{clock}#include \"{}\"\nstruct flow flow;\n\
             void relayed(size_t bytes)\n{{\nflow.bytes += bytes;\n}}\n",
            flow.display()
        );
        fs::write(&source, text).expect("a file");
        let object = source.with_extension("so");
        compiler::build(&source, &["-shared", "-fPIC"].map(str::to_owned), &object)
            .expect("it can be built");
        object
    });
    &OBJECT
}

struct Flow {
    library: Library,
    flow: *mut c_void,
}

impl Flow {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // The same file would be loaded only once, and all would share its variables.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let object = built().with_file_name(format!("flow-{number}.so"));
        fs::copy(built(), &object).expect("a file");
        // SAFETY: nothing runs when it is loaded.
        let library = unsafe { Library::new(&object) }.expect("it can be loaded");
        let mut flow = Self { library, flow: std::ptr::null_mut() };
        flow.flow = flow.symbol("flow");
        // SAFETY: here and below, the types are those of the header, and the struct is ours alone.
        unsafe {
            flow.symbol::<unsafe extern "C" fn(*mut c_void, usize)>("flow_init")(flow.flow, QUEUE);
        }
        flow
    }

    /// The function or the address of the variable with this name, which is a `T`.
    fn symbol<T: Copy>(&self, name: &str) -> T {
        // SAFETY: that is for the callers, which have the types from the source.
        unsafe { *self.library.get(name.as_bytes()).expect("it is there") }
    }

    fn join(&self, sd: c_int) {
        type Join = unsafe extern "C" fn(*mut c_void, c_int);
        // SAFETY: see `new`.
        unsafe { self.symbol::<Join>("flow_join")(self.flow, sd) };
    }

    fn send(&self, sd: c_int, bytes: usize) {
        type Received = unsafe extern "C" fn(*mut c_void, c_int, usize);
        type Relayed = unsafe extern "C" fn(usize);
        // SAFETY: see `new`.
        unsafe {
            self.symbol::<Received>("flow_received")(self.flow, sd, bytes);
            self.symbol::<Relayed>("relayed")(bytes);
        }
    }

    fn is_light(&self, sd: c_int) -> bool {
        type IsLight = unsafe extern "C" fn(*mut c_void, c_int) -> bool;
        // SAFETY: see `new`.
        unsafe { self.symbol::<IsLight>("flow_is_light")(self.flow, sd) }
    }

    /// Time passes, and then a pass ends with these readers behind.
    fn pass(&self, duration: i64, behind: &[c_int]) {
        type Update = unsafe extern "C" fn(*mut c_void, *const fd_set);
        // SAFETY: see `new`.
        unsafe {
            *self.symbol::<*mut i64>("now") += duration;
            self.symbol::<Update>("flow_update")(self.flow, &set(behind));
        }
    }

    /// Whether a client who has something to say is not read.
    fn holds(&self, sd: c_int) -> bool {
        type Throttle = unsafe extern "C" fn(*mut c_void, *mut fd_set) -> bool;
        let mut readable = set(&[sd]);
        // SAFETY: see `new`.
        unsafe {
            self.symbol::<Throttle>("flow_throttle")(self.flow, &mut readable);
            !libc::FD_ISSET(sd, &readable)
        }
    }

    fn holds_newcomers(&self) -> bool {
        type Holds = unsafe extern "C" fn(*mut c_void) -> bool;
        // SAFETY: see `new`.
        unsafe { self.symbol::<Holds>("flow_holds_newcomers")(self.flow) }
    }

    /// The flooder sends whenever it is read, while the reader takes nothing. Returns for how long
    /// it was held, and how much it sent.
    fn flood(&self, duration: i64) -> (i64, usize) {
        self.flood_beside(READER, duration)
    }

    fn flood_beside(&self, reader: c_int, duration: i64) -> (i64, usize) {
        let (mut held, mut sent) = (0, 0);
        for _ in 0..duration / PASS {
            if self.holds(FLOODER) {
                held += PASS;
            } else {
                self.send(FLOODER, READ);
                sent += READ;
            }
            self.pass(PASS, &[reader]);
        }
        (held, sent)
    }

    /// The reader is behind, and has senders wait.
    fn fall_behind(&self) {
        while !self.holds_newcomers() {
            self.flood(PASS);
        }
    }
}

fn set(members: &[c_int]) -> fd_set {
    let mut set = MaybeUninit::<fd_set>::uninit();
    // SAFETY: the set is ours, and its members are small.
    unsafe {
        libc::FD_ZERO(set.as_mut_ptr());
        members.iter().for_each(|sd| libc::FD_SET(*sd, set.as_mut_ptr()));
        set.assume_init()
    }
}

fn is_about(held: i64, wanted: i64) -> bool {
    (held - wanted).abs() <= wanted / 10
}

#[test]
fn a_reader_who_stops_is_waited_for_three_seconds_with_a_quarter_of_a_queue() {
    let flow = Flow::new();
    let (held, sent) = flow.flood(3 * SECOND);
    assert!(held > 2 * SECOND && sent < QUEUE / 4 + (256 << 10) + 2 * READ, "{held} {sent}");
    assert!(sent > QUEUE / 5, "{sent}: others may send a little all the time");
    let (more, _) = flow.flood(7 * SECOND);
    assert!(is_about(held + more, 3 * SECOND + SECOND / 3), "{held} + {more}");
    assert!(!flow.holds_newcomers());
}

#[test]
fn its_budget_refills_by_two_seconds_a_minute() {
    let flow = Flow::new();
    flow.flood(10 * SECOND);
    flow.pass(30 * SECOND, &[READER]);
    let (held, _) = flow.flood(SECOND * 3);
    assert!(is_about(held, SECOND + SECOND / 10), "{held}");
}

/// For a minute a reader takes so many bytes a second beside a flood of so many. The kernel holds
/// some for it, and once it is full takes more when a third of them are gone. Returns how much it
/// was sent in all, or for how long it was not cut off.
fn read_at(flow: &Flow, rate: usize, flood: usize, kernel: usize) -> Result<usize, i64> {
    let (mut taken_by_kernel, mut queued, mut sent) = (0, 0, 0);
    for pass in 0..60 * SECOND / PASS {
        taken_by_kernel -= taken_by_kernel.min(rate / 1000);
        let is_writable = queued == 0 || taken_by_kernel <= kernel / 3 * 2;
        for _ in 0..flood / READ / 1000 {
            if flow.holds(FLOODER) {
                break;
            }
            flow.send(FLOODER, READ);
            (queued, sent) = (queued + READ, sent + READ);
        }
        if is_writable {
            let more = queued.min(kernel - taken_by_kernel);
            (queued, taken_by_kernel) = (queued - more, taken_by_kernel + more);
        }
        flow.pass(PASS, if queued > 0 { &[READER] } else { &[] });
        if queued > QUEUE {
            return Err(pass * PASS);
        }
    }
    Ok(sent)
}

#[test]
fn a_reader_of_five_megabytes_a_second_is_waited_for_as_long_as_it_takes() {
    for kernel in [64 << 10, 4 << 20] {
        for flood in [32, 512] {
            let flow = Flow::new();
            let sent = read_at(&flow, 5 << 20, flood << 20, kernel);
            assert!(sent.is_ok_and(|sent| sent >= 60 * (5 << 20)), "{kernel} {flood}: {sent:?}");
        }
    }
}

#[test]
fn a_reader_of_less_than_two_is_not() {
    let flow = Flow::new();
    let outcome = read_at(&flow, 1_800_000, 128 << 20, 64 << 10);
    assert!(outcome.is_err_and(|after| after > 3 * SECOND), "{outcome:?}");
}

/// It reads nothing for a while, and then everything at once, again and again.
#[test]
fn no_reader_has_a_flood_slowed_below_four_megabytes_a_second_for_ever() {
    const TURNS: i64 = 50;
    for tenths in [1, 3, 10, 19] {
        let flow = Flow::new();
        let mut sent = 0;
        for _ in 0..TURNS {
            sent += flow.flood(tenths * SECOND / 10).1;
            flow.send(FLOODER, READ);
            sent += READ;
            flow.pass(PASS, &[]);
        }
        let duration = TURNS * (tenths * SECOND / 10 + PASS);
        // Once it may, and then for a thirtieth of the time.
        let slowed = duration - duration / 30 - 3 * SECOND;
        let bound = 4 * (slowed << 20) / SECOND;
        assert!(sent as i64 >= bound * 9 / 10, "{tenths}: {sent} of {bound}");
    }
}

#[test]
fn who_has_chatted_for_an_hour_is_no_heavy_sender() {
    const CHATTERER: c_int = 11;
    let flow = Flow::new();
    for _ in 0..3600 {
        flow.send(CHATTERER, 3000);
        flow.pass(SECOND, &[]);
        assert!(flow.is_light(CHATTERER));
    }
    flow.fall_behind();
    assert!(!flow.holds(CHATTERER));
    assert!(flow.holds(FLOODER));
}

#[test]
fn who_floods_is_heavy_for_a_while_and_not_for_long() {
    let flow = Flow::new();
    for _ in 0..10_000 {
        flow.send(FLOODER, READ);
    }
    flow.flood(0);
    assert!(!flow.is_light(FLOODER));
    flow.pass(6 * SECOND, &[]);
    assert!(flow.is_light(FLOODER));
}

/// Each of them has sent less than a heavy sender.
#[test]
fn a_crowd_that_floods_together_is_held_as_well() {
    let flow = Flow::new();
    let crowd = 100..1000;
    for sd in crowd {
        for _ in 0..16 {
            if !flow.holds(sd) {
                flow.send(sd, 4096);
            }
        }
        flow.pass(1, &[READER]);
    }
    assert!(flow.holds(100) && flow.holds(999));
    flow.send(FLOODER, 1000);
    assert!(!flow.holds(FLOODER), "it has said a line");
}

/// However little each of them sends, nobody is cut off before its budget is used up.
#[test]
fn a_crowd_too_large_for_the_queue_is_not_read_at_all() {
    let flow = Flow::new();
    flow.pass(PASS, &[READER]);
    let mut sent = 0;
    while !flow.holds(FLOODER) && sent < QUEUE {
        flow.join(FLOODER);
        flow.send(FLOODER, 4096);
        sent += 4096;
        flow.join(FLOODER);
        flow.pass(1, &[READER]);
    }
    assert_eq!(sent, QUEUE / 4 * 3);
}

/// A descriptor may have a new owner within a pass, with the last one's state unless it is cleared.
#[test]
fn whoever_joins_starts_afresh() {
    let flow = Flow::new();
    flow.fall_behind();
    assert!(flow.holds(FLOODER));
    flow.join(FLOODER);
    assert!(!flow.holds(FLOODER) && flow.is_light(FLOODER));
    flow.join(READER);
    flow.pass(PASS, &[READER]);
    assert!(!flow.holds_newcomers(), "nothing has come in since");
}

#[test]
fn a_newcomer_has_no_more_time_left_than_the_reader_that_has_least() {
    for newcomer in [READER, READER + 1] {
        let flow = Flow::new();
        flow.join(newcomer);
        let (held, _) = flow.flood_beside(newcomer, 10 * SECOND);
        assert!(is_about(held, 3 * SECOND + SECOND / 3), "among those who have rested: {held}");
        flow.flood(10 * SECOND);
        // It has left, or another one joins.
        flow.join(newcomer);
        let (held, _) = flow.flood_beside(newcomer, 2 * SECOND);
        assert!((SECOND / 10..SECOND / 4).contains(&held), "{held}");
        flow.pass(60 * SECOND, &[]);
        flow.join(newcomer);
        let (held, _) = flow.flood_beside(newcomer, 3 * SECOND);
        assert!(is_about(held, 2 * SECOND), "a minute later: {held}");
    }
}

/// So readers that do their best cannot be kept out by one that does not.
#[test]
fn a_newcomer_of_five_megabytes_a_second_is_waited_for_all_the_same() {
    for kernel in [64 << 10, 4 << 20] {
        let flow = Flow::new();
        flow.flood(10 * SECOND);
        flow.join(READER);
        let sent = read_at(&flow, 5 << 20, 512 << 20, kernel);
        assert!(sent.is_ok(), "{kernel}: {sent:?}");
    }
}
