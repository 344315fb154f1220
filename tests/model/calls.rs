//! The library's functions, on a pool that is sound, with outcomes as Rust has them.

use super::library as c;
use super::library::{ConnInfo, Pool};
use libc::c_int;
use std::ptr;

/// 0, or the errno of a -1.
pub(crate) type Outcome = Result<(), c_int>;

/// What errno is before each call: no number of an error.
const UNTOUCHED: c_int = 12345;

/// Makes a call, which must leave errno alone when it succeeds.
fn outcome(call: impl FnOnce() -> c_int) -> Outcome {
    let (outcome, errno) = outcome_and_errno(call);
    assert!(outcome.is_err() || errno == UNTOUCHED, "an errno of {errno} after success");
    outcome
}

fn outcome_and_errno(call: impl FnOnce() -> c_int) -> (Outcome, c_int) {
    // SAFETY: the C library has an errno for every thread.
    let errno = || unsafe { &mut *libc::__errno_location() };
    *errno() = UNTOUCHED;
    match call() {
        0 => (Ok(()), *errno()),
        -1 => (Err(*errno()), *errno()),
        other => panic!("a status of {other}"),
    }
}

fn length(bytes: &[u8]) -> c_int {
    c_int::try_from(bytes.len()).expect("short enough for C")
}

/// Where the bytes are; NULL for none.
fn start(bytes: &[u8]) -> *mut libc::c_char {
    if bytes.is_empty() { ptr::null_mut() } else { bytes.as_ptr().cast_mut().cast() }
}

/// The memory of a pool, which `init_pool` has been called on. It stays where it is.
pub(crate) struct PoolBox(*mut Pool);

impl PoolBox {
    pub(crate) fn new() -> Self {
        // SAFETY: malloc may be called with any size.
        let memory = unsafe { libc::malloc(size_of::<Pool>()) }.cast::<Pool>();
        assert!(!memory.is_null(), "out of memory");
        let mut pool = Self(memory);
        pool.init(0);
        pool
    }

    pub(crate) fn get(&self) -> &Pool {
        // SAFETY: the memory is there and initialised, and the library has no reference to it
        // outside its calls.
        unsafe { &*self.0 }
    }

    pub(crate) fn get_mut(&mut self) -> &mut Pool {
        // SAFETY: as in `get`.
        unsafe { &mut *self.0 }
    }

    /// Calls `init_pool` on memory that means nothing.
    pub(crate) fn init(&mut self, name: u8) {
        // SAFETY: the memory has a pool's size, and what was in it is not needed any more.
        unsafe { self.0.write_bytes(0xAA, 1) };
        let function = [c::init_pool, c::initPool][usize::from(name) % 2];
        // SAFETY: the memory may be written.
        assert_eq!(outcome(|| unsafe { function(self.0) }), Ok(()));
    }

    pub(crate) fn add_conn(&mut self, sd: c_int, name: u8) -> Outcome {
        let function = [c::add_conn, c::addConn][usize::from(name) % 2];
        // SAFETY: `init_pool` has made the pool, and what `direct_access` does keeps its lists
        // sound.
        outcome(|| unsafe { function(sd, self.0) })
    }

    pub(crate) fn remove_conn(&mut self, sd: c_int, name: u8) -> Outcome {
        let function = [c::remove_conn, c::removeConn][usize::from(name) % 2];
        // SAFETY: as for `add_conn`; nobody keeps a connection.
        outcome(|| unsafe { function(sd, self.0) })
    }

    pub(crate) fn add_msg(&mut self, sd: c_int, bytes: &[u8]) -> Outcome {
        // SAFETY: as for `add_conn`; the bytes are there.
        outcome(|| unsafe { c::add_msg(sd, start(bytes), length(bytes), self.0) })
    }

    pub(crate) fn add_msg_in_capitals(&mut self, sd: c_int, bytes: &[u8]) -> Outcome {
        // SAFETY: as for `add_msg`.
        outcome(|| unsafe { c::addMsg(sd, start(bytes), length(bytes), self.0) })
    }

    pub(crate) fn write_msg(&mut self, sd: c_int, name: u8) -> Outcome {
        let functions = [c::write_msg, c::write_to_client, c::writeToClient];
        // SAFETY: as for `add_conn`.
        let call = || unsafe { functions[usize::from(name) % 3](sd, self.0) };
        let (outcome, errno) = outcome_and_errno(call);
        assert!(outcome.is_err() || matches!(errno, UNTOUCHED | libc::EAGAIN));
        outcome
    }

    pub(crate) fn feed(&mut self, sd: c_int, bytes: &[u8]) -> Outcome {
        // SAFETY: as for `add_msg`.
        outcome(|| unsafe { c::chat_feed(sd, start(bytes), length(bytes), self.0) })
    }

    pub(crate) fn receive(&mut self, sd: c_int, bytes: &[u8]) -> Outcome {
        // SAFETY: as for `add_msg`.
        outcome(|| unsafe { c::chat_receive(sd, start(bytes), length(bytes), self.0) })
    }

    /// The next line; nothing where there is none.
    pub(crate) fn next_line(&mut self, sd: c_int) -> Result<&[u8], c_int> {
        let (mut line, mut length) = (ptr::null(), 0);
        outcome(|| {
            // SAFETY: as for `add_conn`; the address may be written.
            length = unsafe { c::chat_next_line(sd, &mut line, self.0) };
            length.min(0)
        })?;
        assert_eq!(line.is_null(), length == 0);
        if line.is_null() {
            return Ok(&[]);
        }
        // SAFETY: the library vouches for so many bytes, until its next call.
        Ok(unsafe { std::slice::from_raw_parts(line.cast(), length as usize) })
    }

    /// For -1, everyone is a recipient.
    pub(crate) fn say(&mut self, sd: c_int, bytes: &[u8]) -> Outcome {
        // SAFETY: as for `add_msg`.
        outcome(|| unsafe { c::chat_say(sd, start(bytes), length(bytes), self.0) })
    }

    pub(crate) fn tell(&mut self, sd: c_int, bytes: &[u8]) -> Outcome {
        // SAFETY: as for `add_msg`.
        outcome(|| unsafe { c::chat_tell(sd, start(bytes), length(bytes), self.0) })
    }

    pub(crate) fn cork(&mut self) -> Outcome {
        // SAFETY: as for `add_conn`.
        outcome(|| unsafe { c::chat_cork(self.0) })
    }

    pub(crate) fn uncork(&mut self) -> Outcome {
        // SAFETY: as for `add_conn`.
        outcome(|| unsafe { c::chat_uncork(self.0) })
    }

    pub(crate) fn info(&mut self, sd: c_int) -> Result<ConnInfo, c_int> {
        let mut info = ConnInfo { queued_bytes: 0, queued_msgs: 0, sent_bytes: 0, cut_off: 0 };
        // SAFETY: as for `add_conn`; the answer may be written.
        outcome(|| unsafe { c::chat_get_info(sd, self.0, &mut info) }).map(|()| info)
    }

    /// Makes one of the calls that make no sense, and answers with what errno it must fail.
    pub(crate) fn wrong(&mut self, which: u8) -> (Outcome, c_int) {
        let (pool, none) = (self.0, ptr::null_mut());
        let mut text = *b"hello";
        let hello = text.as_mut_ptr().cast();
        let (info, mut line) = (ptr::null_mut(), ptr::null());
        let mut expected = 0;
        let outcome = outcome(|| {
            // SAFETY: the pool is as for `add_conn`, and NULL is for the library to refuse; so is a
            // length that the bytes do not have.
            let (status, errno) = unsafe {
                match which % 26 {
                    0 => (c::init_pool(none), libc::EINVAL),
                    1 => (c::add_conn(5, none), libc::EINVAL),
                    2 => (c::add_conn(-1, pool), libc::EINVAL),
                    3 => (c::add_conn(1024, pool), libc::EMFILE),
                    4 => (c::add_conn(c_int::MAX, pool), libc::EMFILE),
                    5 => (c::remove_conn(5, none), libc::EINVAL),
                    6 => (c::remove_conn(-1, pool), libc::ENOENT),
                    7 => (c::remove_conn(1024, pool), libc::ENOENT),
                    8 => (c::add_msg(5, hello, 5, none), libc::EINVAL),
                    9 => (c::add_msg(-1, hello, 5, pool), libc::EINVAL),
                    10 => (c::add_msg(5, hello, -1, pool), libc::EINVAL),
                    11 => (c::addMsg(5, none.cast(), 5, pool), libc::EINVAL),
                    12 => (c::write_msg(5, none), libc::EINVAL),
                    13 => (c::write_msg(c_int::MIN, pool), libc::ENOENT),
                    14 => (c::chat_feed(5, hello, c_int::MIN, pool), libc::EINVAL),
                    15 => (c::chat_feed(c_int::MAX, hello, 5, pool), libc::ENOENT),
                    16 => (c::chat_tell(5, none.cast(), 5, pool), libc::EINVAL),
                    17 => (c::chat_cork(none), libc::EINVAL),
                    18 => (c::chat_uncork(none), libc::EINVAL),
                    19 => (c::chat_receive(5, hello, -1, pool), libc::EINVAL),
                    20 => (c::chat_receive(c_int::MAX, hello, 5, pool), libc::ENOENT),
                    21 => (c::chat_next_line(5, ptr::null_mut(), pool), libc::EINVAL),
                    22 => (c::chat_next_line(-1, &mut line, pool), libc::ENOENT),
                    23 => (c::chat_say(-2, hello, 5, pool), libc::EINVAL),
                    24 => (c::chat_say(5, none.cast(), 5, pool), libc::EINVAL),
                    _ => (c::chat_get_info(5, pool, info), libc::EINVAL),
                }
            };
            expected = errno;
            status
        });
        (outcome, expected)
    }
}

impl Drop for PoolBox {
    fn drop(&mut self) {
        // SAFETY: it came from malloc, and this is its last use.
        unsafe { libc::free(self.0.cast()) };
    }
}

/// Limits what may wait for a connection, in every pool.
pub(crate) fn set_max_queue(bytes: usize) {
    let function: unsafe extern "C" fn(usize) = c::chat_set_max_queue;
    // SAFETY: any number will do.
    unsafe { function(bytes) };
}

/// Has removals go without a line on standard output.
pub(crate) fn be_quiet() {
    let function: unsafe extern "C" fn(c_int) = c::chat_set_quiet;
    // SAFETY: any number will do.
    unsafe { function(1) };
}
