//! The functions of the shared object, with the crate's names and types.

use crate::common::folders::root;
use crate::common::make;
pub(crate) use chatserver::ffi::{Conn, Msg, Pool};
pub(crate) use chatserver::ffi_ext::ConnInfo;
use libc::{c_char, c_int};
use libloading::Library;
use std::sync::OnceLock;

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        make::all();
        // Freed memory is overwritten, so that a use after free shows at once.
        // SAFETY: mallopt may be called at any time.
        unsafe { libc::mallopt(libc::M_PERTURB, 0xA5) };
        let path = root().join("build/libchatserver.so");
        // SAFETY: the library has nothing that runs when it is loaded.
        unsafe { Library::new(path) }.expect("make has built it")
    })
}

/// Functions that call those of the same name in the shared object.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)+) => {
        $(
            #[allow(non_snake_case, reason = "the names are the header's")]
            pub(crate) unsafe extern "C" fn $name($($argument: $type),*) $(-> $answer)? {
                type Function = unsafe extern "C" fn($($type),*) $(-> $answer)?;
                static FUNCTION: OnceLock<Function> = OnceLock::new();
                let name = stringify!($name).as_bytes();
                // SAFETY: the types are the header's.
                let find = || unsafe { *library().get(name).expect("exported") };
                // SAFETY: the caller has the same duties.
                unsafe { FUNCTION.get_or_init(find)($($argument),*) }
            }
        )+
    };
}

functions! {
    init_pool(pool: *mut Pool) -> c_int;
    initPool(pool: *mut Pool) -> c_int;
    add_conn(sd: c_int, pool: *mut Pool) -> c_int;
    addConn(sd: c_int, pool: *mut Pool) -> c_int;
    remove_conn(sd: c_int, pool: *mut Pool) -> c_int;
    removeConn(sd: c_int, pool: *mut Pool) -> c_int;
    add_msg(sd: c_int, buffer: *mut c_char, len: c_int, pool: *mut Pool) -> c_int;
    addMsg(sd: c_int, buffer: *mut c_char, len: c_int, pool: *mut Pool) -> c_int;
    write_msg(sd: c_int, pool: *mut Pool) -> c_int;
    write_to_client(sd: c_int, pool: *mut Pool) -> c_int;
    writeToClient(sd: c_int, pool: *mut Pool) -> c_int;
    chat_feed(sd: c_int, buffer: *const c_char, len: c_int, pool: *mut Pool) -> c_int;
    chat_receive(sd: c_int, buffer: *const c_char, len: c_int, pool: *mut Pool) -> c_int;
    chat_next_line(sd: c_int, line: *mut *const c_char, pool: *mut Pool) -> c_int;
    chat_say(sd: c_int, buffer: *const c_char, len: c_int, pool: *mut Pool) -> c_int;
    chat_tell(sd: c_int, buffer: *const c_char, len: c_int, pool: *mut Pool) -> c_int;
    chat_cork(pool: *mut Pool) -> c_int;
    chat_uncork(pool: *mut Pool) -> c_int;
    chat_get_info(sd: c_int, pool: *mut Pool, info: *mut ConnInfo) -> c_int;
    chat_set_max_queue(bytes: usize);
    chat_set_quiet(quiet: c_int);
}
