//! The rules of `src/server/flow.h`, with a clock of our own.

use crate::compiler;
use crate::harness::scratch;
use libc::{c_int, fd_set};
use libloading::Library;
use std::ffi::c_void;
use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

const SECOND: i64 = 1_000_000;
/// How long a pass takes, and how much is read from a flooder in it.
const PASS: i64 = SECOND / 1000;
const READ: usize = 16 << 10;

const QUEUE: usize = 8 << 20;
const READER: c_int = 7;
const FLOODER: c_int = 9;

struct Flow {
    library: Library,
    flow: *mut c_void,
}

impl Flow {
    /// Compiled for the test of this name.
    fn new(name: &str) -> Self {
        let source = scratch(&format!("flow-{name}")).join("flow.c");
        let flow = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/flow.c");
        let clock = "#define _GNU_SOURCE\n#include <time.h>\n#undef _GNU_SOURCE\n\
             long now = 1000000000;\nstatic int own_clock(int clock, struct timespec *at)\n\
             {\n(void)clock;\nat->tv_sec = now / 1000000;\nat->tv_nsec = now % 1000000 * 1000;\n\
             return 0;\n}\n#define clock_gettime own_clock\n";
        let text = format!("{clock}#include \"{}\"\nstruct flow flow;\n", flow.display());
        fs::write(&source, text).expect("a file");
        let object = source.with_extension("so");
        compiler::build(&source, &["-shared", "-fPIC"].map(str::to_owned), &object)
            .expect("it can be built");
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
        // SAFETY: see `new`.
        unsafe { self.symbol::<Received>("flow_received")(self.flow, sd, bytes) };
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
        let (mut held, mut sent) = (0, 0);
        for _ in 0..duration / PASS {
            if self.holds(FLOODER) {
                held += PASS;
            } else {
                self.send(FLOODER, READ);
                sent += READ;
            }
            self.pass(PASS, &[READER]);
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
fn a_reader_who_stops_is_waited_for_three_seconds_with_half_a_queue() {
    let flow = Flow::new("stops");
    let (held, sent) = flow.flood(3 * SECOND);
    assert!(held > 2 * SECOND && sent < QUEUE / 2 + (256 << 10) + 2 * READ, "{held} {sent}");
    let (more, _) = flow.flood(7 * SECOND);
    assert!(is_about(held + more, 3 * SECOND + SECOND / 3), "{held} + {more}");
    assert!(!flow.holds_newcomers());
}

#[test]
fn its_budget_refills_by_two_seconds_a_minute() {
    let flow = Flow::new("refill");
    flow.flood(10 * SECOND);
    flow.pass(30 * SECOND, &[READER]);
    let (held, _) = flow.flood(SECOND * 3);
    assert!(is_about(held, SECOND + SECOND / 10), "{held}");
}

/// The backlog is small each time, and the kernel has as much for it.
#[test]
fn a_reader_of_eight_megabytes_a_second_is_waited_for_as_long_as_it_takes() {
    let flow = Flow::new("slower");
    let (mut queued, mut sent) = (0, 0);
    for _ in 0..6000 {
        // A hundredth of eight megabytes are gone, and a flood comes.
        queued -= queued.min(QUEUE / 100);
        for _ in 0..100 {
            if !flow.holds(FLOODER) {
                flow.send(FLOODER, READ);
                (queued, sent) = (queued + READ, sent + READ);
            }
            flow.pass(SECOND / 10_000, if queued > 0 { &[READER] } else { &[] });
            assert!(queued < QUEUE, "it is cut off after {sent} bytes");
        }
    }
    assert!(sent > 40 * QUEUE, "{sent}");
}

#[test]
fn a_reader_of_less_than_two_is_not() {
    let flow = Flow::new("trickles");
    let mut queued = 0;
    for pass in 0..6000 {
        queued -= queued.min(1_800_000 / 100);
        for _ in 0..100 {
            if !flow.holds(FLOODER) {
                flow.send(FLOODER, READ);
                queued += READ;
            }
            flow.pass(SECOND / 10_000, if queued > 0 { &[READER] } else { &[] });
        }
        if queued > QUEUE {
            return assert!(pass > 300, "after {pass} hundredths of a second");
        }
    }
    panic!("it holds senders for ever");
}

#[test]
fn who_has_chatted_for_an_hour_is_no_heavy_sender() {
    const CHATTERER: c_int = 11;
    let flow = Flow::new("chats");
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
    let flow = Flow::new("heavy");
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
    let flow = Flow::new("crowd");
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

/// A descriptor may have a new owner within a pass, with the last one's state unless it is cleared.
#[test]
fn whoever_joins_starts_afresh() {
    let flow = Flow::new("joins");
    flow.fall_behind();
    assert!(flow.holds(FLOODER));
    flow.join(FLOODER);
    assert!(!flow.holds(FLOODER) && flow.is_light(FLOODER));

    flow.flood(10 * SECOND);
    assert!(!flow.holds_newcomers(), "the budget is used up");
    flow.join(READER);
    flow.pass(PASS, &[READER]);
    assert!(!flow.holds_newcomers(), "nothing has come in since");
    let (held, _) = flow.flood(10 * SECOND);
    assert!(is_about(held, 3 * SECOND + SECOND / 3), "{held}");
}
