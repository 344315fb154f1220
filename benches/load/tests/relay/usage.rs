//! The relay's command line, and what it says when it cannot begin.

use anyhow::{Result, ensure};
use load::rooms::{Rooms, relay_program};
use std::fs;
use std::process::{Command, Output};

fn run(words: &str) -> Result<Output> {
    Ok(Command::new(relay_program()?).args(words.split_whitespace()).output()?)
}

fn is_refused(words: &str, complaint: &str) -> Result<()> {
    let output = run(words)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{words}: {}", output.status);
    ensure!(said.contains(complaint), "{words}: {said}");
    Ok(())
}

#[test]
fn what_is_wrong_on_the_command_line_is_said() -> Result<()> {
    for (words, complaint) in [
        ("", "a broker with a room and a server's port are needed"),
        ("http://localhost/room 5", "not a broker's address"),
        ("mqtt://localhost 5", "no ROOM"),
        ("mqtt://localhost/ 5", "no ROOM"),
        ("mqtt://me:secret@localhost/room 5", "can be seen by everyone"),
        ("mqtt://localhost:none/room 5", "not a broker's HOST[:PORT]"),
        ("mqtt://[::1/room 5", "not a broker's HOST[:PORT]"),
        ("mqtt://localhost/room none", "not a server's [HOST:]PORT"),
        ("--ca file mqtt://[::1]:1/room 5", "--ca is for mqtts://"),
        ("--id a/b mqtt://localhost/room 5", "--id: not a name"),
        ("--spool 5 mqtt://localhost/room 5", "--spool: not a number of bytes"),
        ("--qos 2 mqtt://localhost/room 5", "--qos: neither 0 nor 1"),
        ("--nonsense", "Try '"),
        ("--password-file /nowhere mqtt://me@localhost/room 5", "/nowhere: No such file"),
        ("--password-file /dev/null mqtt://me@localhost/room 5", "no password in its first line"),
        ("--ca /nowhere mqtts://127.0.0.1/room 127.0.0.1:5", "/nowhere: "),
    ] {
        is_refused(words, complaint)?;
    }
    Ok(())
}

#[test]
fn a_password_needs_a_user() -> Result<()> {
    let file = Rooms::new("password")?.folder.join("password");
    fs::write(&file, "secret\n")?;
    let words = format!("--password-file {} mqtt://localhost/room 5", file.display());
    is_refused(&words, "a password needs a USER")
}

#[test]
fn help_and_version_are_printed() -> Result<()> {
    for (option, text) in [("--help", "--password-file FILE"), ("--version", "(libchatserver) ")] {
        let output = run(option)?;
        ensure!(output.status.success(), "{option}: {}", output.status);
        ensure!(String::from_utf8_lossy(&output.stdout).contains(text), "{option}: {output:?}");
    }
    Ok(())
}
