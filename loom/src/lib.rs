//! Tries all interleavings of two threads, each with a pool of its own, that use one slot of the
//! library's index (`src/index.rs`), and all values that the memory model lets them read.
//!
//! The same tests run on copies with a fault each (`build.rs`), which they must find.

#![cfg(test)]

/// As much of the library as the index needs.
mod abi {
    pub(crate) struct Pool;
    pub(crate) struct Conn;
}
mod connection {
    pub(crate) struct ConnRef {
        pub(crate) fd: std::ffi::c_int,
        pub(crate) conn: *mut crate::abi::Conn,
    }

    impl ConnRef {
        pub(crate) fn as_ptr(&self) -> *mut crate::abi::Conn {
            self.conn
        }
    }
}
mod fdset {
    pub(crate) const CAPACITY: usize = 1;
}

use abi::{Conn, Pool};
use connection::ConnRef;
use std::ffi::c_int;
use std::ptr::without_provenance_mut;

/// The functions of a variant.
#[derive(Clone, Copy)]
struct Index {
    get: fn(*mut Pool, c_int) -> Option<*mut Conn>,
    put: fn(*mut Pool, ConnRef),
    forget: fn(*mut Pool, c_int),
    is_free: fn(c_int) -> bool,
}

macro_rules! variants {
    ($($constant:ident $name:ident)+) => {
        $(
            #[allow(dead_code, reason = "some functions are for one thread alone")]
            mod $name {
                include!(concat!(env!("OUT_DIR"), "/", stringify!($name)));
            }
            const $constant: Index = Index {
                get: $name::get,
                put: $name::put,
                forget: $name::forget,
                is_free: $name::is_free,
            };
        )+
    };
}

variants! {
    SOUND sound
    NO_MARK no_mark
    RELAXED_LOAD relaxed_load
    NO_SECOND_LOOK no_second_look
    RELAXED_IS_FREE relaxed_is_free
}

/// The only slot's descriptor.
const FD: c_int = 0;

/// A thread's pool and its connections. Nobody follows these addresses.
#[derive(Clone, Copy)]
struct Owner {
    index: Index,
    address: usize,
}

impl Owner {
    fn pool(self) -> *mut Pool {
        without_provenance_mut(self.address)
    }

    fn conn(self, number: usize) -> *mut Conn {
        without_provenance_mut(self.address + number)
    }

    fn put(self, number: usize) {
        (self.index.put)(self.pool(), ConnRef { fd: FD, conn: self.conn(number) });
    }

    fn forget(self) {
        (self.index.forget)(self.pool(), FD);
    }

    /// The index has this connection, or no answer.
    fn gets(self, number: usize) {
        let found = (self.index.get)(self.pool(), FD);
        assert!(found.is_none_or(|conn| conn == self.conn(number)), "got another's");
    }

    fn gets_none(self) {
        assert!((self.index.get)(self.pool(), FD).is_none(), "got what was forgotten");
    }

    fn is_not_free(self) {
        assert!(!(self.index.is_free)(FD), "free, and in use");
    }
}

/// Runs both at the same time, in all ways.
fn together(index: Index, first: fn(Owner), second: fn(Owner)) {
    loom::model(move || {
        let other = loom::thread::spawn(move || second(Owner { index, address: 0x2000 }));
        first(Owner { index, address: 0x1000 });
        other.join().expect("no panic");
    });
}

fn each_has_the_number(index: Index) {
    let each = |owner: Owner| {
        owner.put(1);
        owner.gets(1);
        owner.gets(1);
    };
    together(index, each, each);
}

fn the_number_is_used_again(index: Index) {
    let first = |owner: Owner| {
        owner.put(1);
        owner.forget();
        owner.gets_none();
        owner.put(2);
        owner.gets(2);
    };
    let second = |owner: Owner| {
        owner.put(1);
        owner.gets(1);
        owner.forget();
    };
    together(index, first, second);
}

fn one_has_the_number_and_one_had_it(index: Index) {
    let first = |owner: Owner| {
        owner.put(1);
        owner.is_not_free();
        owner.gets(1);
    };
    let second = |owner: Owner| {
        owner.put(1);
        owner.is_not_free();
        owner.forget();
    };
    together(index, first, second);
}

#[test]
fn nobody_gets_what_is_anothers() {
    each_has_the_number(SOUND);
}

#[test]
fn nobody_gets_what_was_there_before() {
    the_number_is_used_again(SOUND);
}

#[test]
fn what_is_in_a_pool_is_not_free() {
    one_has_the_number_and_one_had_it(SOUND);
}

#[test]
#[should_panic(expected = "got another's")]
fn a_slot_that_is_not_marked_while_it_changes_is_found() {
    each_has_the_number(NO_MARK);
}

#[test]
#[should_panic(expected = "got another's")]
fn a_relaxed_load_of_the_connection_is_found() {
    each_has_the_number(RELAXED_LOAD);
}

#[test]
#[should_panic(expected = "got another's")]
fn a_missing_second_look_is_found() {
    each_has_the_number(NO_SECOND_LOOK);
}

#[test]
#[should_panic(expected = "free, and in use")]
fn a_relaxed_load_in_is_free_is_found() {
    one_has_the_number_and_one_had_it(RELAXED_IS_FREE);
}
