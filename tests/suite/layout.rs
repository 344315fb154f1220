//! The Rust types have the layout that the C compiler gives those of the headers. c-tests/types.c
//! checks the types of the fields.

use crate::common::compiler;
use crate::common::folders::root;
use crate::common::program::output;
use chatserver::ffi::{Conn, Msg, Pool};
use chatserver::ffi_ext::ConnInfo;
use std::error::Error;
use std::mem::{align_of, offset_of, size_of};
use std::process::Command;

/// The lines that layout.c prints for one type, computed by Rust.
macro_rules! lines {
    ($name:literal, $type:ty, $($field:ident),+) => {
        [
            format!("{} {} {}\n", $name, size_of::<$type>(), align_of::<$type>()),
            $(format!("{}.{} {}\n", $name, stringify!($field), offset_of!($type, $field))),+
        ]
        .concat()
    };
}

fn layout_in_c() -> Result<String, Box<dyn Error>> {
    let root = root();
    let program = root.join("build/layout");
    compiler::build(&root.join("tests/suite/layout.c"), &[], &program)?;
    Ok(output(&mut Command::new(program)))
}

#[test]
fn c_and_rust_agree_on_every_field() -> Result<(), Box<dyn Error>> {
    let in_rust = [
        lines!(
            "conn_pool",
            Pool,
            maxfd,
            nready,
            read_set,
            ready_read_set,
            write_set,
            ready_write_set,
            conn_head,
            nr_conns
        ),
        lines!("msg", Msg, prev, next, message, size),
        lines!("conn", Conn, prev, next, fd, write_msg_head, write_msg_tail),
        lines!("chat_conn_info", ConnInfo, queued_bytes, queued_msgs, sent_bytes, cut_off),
    ]
    .concat();
    assert_eq!(layout_in_c()?, in_rust);
    Ok(())
}
