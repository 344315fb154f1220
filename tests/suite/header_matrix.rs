//! The headers compile under every standard and compiler that a program may use, next to what the
//! program itself declares, without a warning.

use crate::common::folders::root;
use crate::common::installed::{is_installed, skip};
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const C: &[&str] = &["c89", "c99", "c11", "c17", "c2x"];
/// In C23, `bool`, `false` and `true` are keywords.
const C_WITHOUT_BOOL: &[&str] = &["c89", "c99", "c11", "c17"];
const CPP: &[&str] = &["c++98", "c++11", "c++14", "c++17", "c++20"];

const HEADERS: [&str; 2] = ["chatServer.h", "chatServerExt.h"];

/// Names that programs use for themselves.
const GLOBALS: &str = "int array[3]; int max; char *pool; long end; int conn; int msg;\n\
                       int updateMaxFd(void);\n";

/// A program that uses the types under both names and calls every function.
const USE: &str = "
int use(struct conn_pool *p, conn_pool_t *q);
int use(struct conn_pool *p, conn_pool_t *q)
{
    struct conn *c = p->conn_head;
    conn_t *d = c;
    struct msg *m = d->write_msg_head;
    msg_t *n = m;
    unsigned int count = q->nr_conns;
    char buffer[BUFFER_SIZE];
    fd_set set = p->read_set;

    p = q;
    buffer[0] = n->message[0];
    return init_pool(p) + add_conn(c->fd, p) + remove_conn(c->fd, p) + FD_ISSET(0, &set)
        + add_msg(c->fd, buffer, n->size, p) + write_msg(c->fd, p) + write_to_client(c->fd, p)
        + initPool(p) + addConn(c->fd, p) + removeConn(c->fd, p) + (int)count
        + addMsg(c->fd, buffer, n->size, p) + writeToClient(c->fd, p);
}
";

/// The text around the header, and the standards of C in which it is valid.
struct Surroundings {
    name: &'static str,
    before: &'static str,
    times: usize,
    after: &'static str,
    c_standards: &'static [&'static str],
    in_cpp: bool,
}

const PLAIN: Surroundings =
    Surroundings { name: "alone", before: "", times: 1, after: "", c_standards: C, in_cpp: true };

const BUFFER_SIZE: &str = "#define BUFFER_SIZE 4096\n";
const BOOL: &str = "enum bool { false, true };\nenum bool answer(void);\n";

const SURROUNDINGS: &[Surroundings] = &[
    PLAIN,
    Surroundings { name: "twice", times: 2, ..PLAIN },
    Surroundings { name: "in use", after: USE, ..PLAIN },
    Surroundings { name: "after a BUFFER_SIZE", before: BUFFER_SIZE, ..PLAIN },
    Surroundings { name: "before a BUFFER_SIZE", after: BUFFER_SIZE, ..PLAIN },
    Surroundings { name: "after globals", before: GLOBALS, after: USE, ..PLAIN },
    Surroundings { name: "before globals", times: 2, after: GLOBALS, ..PLAIN },
    Surroundings {
        name: "after an enum bool",
        before: BOOL,
        c_standards: C_WITHOUT_BOOL,
        in_cpp: false,
        ..PLAIN
    },
    Surroundings {
        name: "before an enum bool",
        after: BOOL,
        c_standards: C_WITHOUT_BOOL,
        in_cpp: false,
        ..PLAIN
    },
];

impl Surroundings {
    fn around(&self, header: &str) -> String {
        let include = format!("#include \"{header}\"\n").repeat(self.times);
        format!("{}{include}{}", self.before, self.after)
    }
}

fn compile(compiler: &str, language: &str, standard: &str, program: &str) -> Output {
    let include = root().join("include");
    let mut child = Command::new(compiler)
        .args(["-x", language, &format!("-std={standard}"), "-fsyntax-only"])
        .args(["-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the compiler can be run");
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    stdin.write_all(program.as_bytes()).expect("the compiler reads the program");
    drop(stdin);
    child.wait_with_output().expect("the compiler ends")
}

/// The sets would be larger than the library's, or the program would take them for it.
#[test]
fn a_program_with_another_fd_setsize_is_refused() {
    for size in ["512", "4096", "(2 * 1024)"] {
        for header in HEADERS {
            let program = format!(
                "#include <sys/select.h>\n#undef FD_SETSIZE\n#define FD_SETSIZE {size}\n\
                 #include \"{header}\"\n"
            );
            let output = compile("cc", "c", "c99", &program);
            assert!(!output.status.success(), "{header} with {size}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("FD_SETSIZE is 1024 in libchatserver"), "{said}");
        }
    }
}

fn check(compiler: &str, language: &str) {
    if !is_installed(compiler) {
        return skip(&format!("no {compiler}"));
    }
    for surroundings in SURROUNDINGS {
        let standards = match language {
            "c" => surroundings.c_standards,
            _ if surroundings.in_cpp => CPP,
            _ => &[],
        };
        for (standard, header) in
            standards.iter().flat_map(|standard| HEADERS.map(|header| (standard, header)))
        {
            let output = compile(compiler, language, standard, &surroundings.around(header));
            let said = String::from_utf8_lossy(&output.stderr);
            let case = format!("{header} {} with {compiler} -std={standard}", surroundings.name);
            assert!(output.status.success() && said.is_empty(), "{case}:\n{said}");
        }
    }
}

#[test]
fn gcc_takes_the_headers_in_every_c() {
    check("gcc", "c");
}

#[test]
fn clang_takes_the_headers_in_every_c() {
    check("clang", "c");
}

#[test]
fn gcc_takes_the_headers_in_every_cpp() {
    check("g++", "c++");
}

#[test]
fn clang_takes_the_headers_in_every_cpp() {
    check("clang++", "c++");
}

/// What a program may rely on and a compiler does not check.
#[test]
fn the_header_is_spelled_as_the_contract_has_it() {
    let path = root().join("include/chatServer.h");
    let text = fs::read_to_string(path).expect("the header is there");
    let with = |start: &str| -> Vec<_> {
        text.lines().map(str::trim_start).filter(|line| line.starts_with(start)).collect()
    };
    assert_eq!(with("#include"), ["#include <sys/select.h>"]);
    assert_eq!(with("#define"), ["#define CHAT_SERVER_H", "#define BUFFER_SIZE 4096"]);
    assert_eq!(with("#ifndef"), ["#ifndef CHAT_SERVER_H"]);
}
