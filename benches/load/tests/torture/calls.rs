//! Each system call of the relay fails, from main() on; strace makes it fail. (The dynamic linker's
//! calls come before.) With TLS some of those fail that find the broker and speak to it: of each
//! kind about eight, spread over the run. With --qos 0 and without MQTT 5 the relay makes the same
//! calls as in the plain scene, so that these do not fail once more.

use crate::scene::{Fault, Kind, run_all};
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::iter;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

type Calls = &'static [(&'static str, &'static [&'static str])];

/// What the relay and libmosquitto call, and the errors that fit, which take turns; the last one is
/// the one that stays. The log needs write(), as the connection to the broker does.
const CALLS: Calls = &[
    ("openat", &["EMFILE", "ENFILE", "ENOENT", "EACCES"]),
    ("mmap", &["ENOMEM"]),
    ("close", &["EINTR", "EIO", "EBADF"]),
    ("rt_sigaction", &["EINVAL"]),
    ("rt_sigprocmask", &["EINVAL"]),
    ("rt_sigpending", &["EFAULT"]),
    ("prlimit64", &["EPERM"]),
    ("fcntl", &["EBADF", "EPERM"]),
    ("socketpair", &["EMFILE"]),
    ("socket", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EAFNOSUPPORT"]),
    ("setsockopt", &["ENOPROTOOPT", "ENOBUFS", "ENOMEM"]),
    ("getsockopt", &["ENOBUFS", "ENOTSOCK"]),
    ("connect", &["ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "EINTR", "ETIMEDOUT"]),
    ("pselect6", &["EINTR", "ENOMEM", "EBADF"]),
    ("read", &["EINTR", "EAGAIN", "ECONNRESET", "ETIMEDOUT"]),
    ("sendto", &["EINTR", "EAGAIN", "EPIPE", "ECONNRESET", "ENOMEM", "ENOBUFS"]),
    ("write", &["EINTR", "EAGAIN", "EPIPE", "ENOSPC", "EIO"]),
];

/// The same with TLS.
const SECURED_CALLS: Calls = &[
    ("openat", &["EMFILE", "ENFILE", "ENOENT", "EACCES"]),
    ("mmap", &["ENOMEM"]),
    ("close", &["EINTR", "EIO", "EBADF"]),
    ("socket", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]),
    ("connect", &["ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "ETIMEDOUT"]),
    ("read", &["EINTR", "EAGAIN", "ECONNRESET", "ETIMEDOUT"]),
    ("write", &["EINTR", "EAGAIN", "EPIPE", "ECONNRESET", "ENOBUFS"]),
];

/// A call that fails in this way has closed nothing, or has seemed to find a descriptor closed that
/// is then opened: what stays open is not the relay's fault.
const KEEPING: [&str; 2] = ["close", "fcntl"];

fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("-V").output().is_ok();
    if !is_there {
        println!("skipped: no strace");
    }
    is_there
}

fn under_strace(name: &str, options: &str) -> Fault {
    let trace = format!("{name}.strace");
    Fault {
        name: name.into(),
        runner: format!("strace -D -qq -o {trace} {options}"),
        variable: None,
        trace: Some(trace),
        for_good: false,
        hits_log: false,
        kept: 0,
    }
}

/// How often the relay makes each call, before main() and in all.
fn counted(name: &str, kind: Kind, calls: Calls) -> Result<HashMap<String, (usize, usize)>> {
    let counts = Mutex::new(HashMap::new());
    let all = calls.iter().map(|(call, _)| *call).collect::<Vec<_>>().join(",");
    let one = [under_strace("plain", &format!("-e trace=rt_sigaction,{all}"))];
    run_all(name, kind, one.into_iter(), |_, outcome| {
        let mut is_main = false;
        for line in outcome.trace.lines() {
            let Some((call, _)) = line.split_once('(') else { continue };
            // The first thing that it does is to set signals up.
            is_main |= call == "rt_sigaction";
            let mut counts = counts.lock().expect("nobody panics");
            let (before, all) = counts.entry(call.to_owned()).or_insert((0, 0));
            *before += usize::from(!is_main);
            *all += 1;
        }
        Ok(())
    })?;
    Ok(counts.into_inner()?)
}

/// Has the relay's calls fail: so many of each kind once, or two of each and all that follow.
fn fail_each(name: &str, kind: Kind, calls: Calls, most: usize, for_good: bool) -> Result<()> {
    if !has_strace() {
        return Ok(());
    }
    let counts = counted(&format!("{name}-plain"), kind, calls)?;
    let mut faults = Vec::new();
    // Without a log nobody could see what fails for good.
    for (call, errors) in calls.iter().filter(|(call, _)| !for_good || *call != "write") {
        let (before, all) = *counts.get(*call).with_context(|| format!("no {call}"))?;
        let calls = before + 1..=all;
        let step = (all - before).div_ceil(most).max(1);
        let and_on = if for_good { "+" } else { "" };
        let last = &errors[errors.len() - 1..];
        let errors = if for_good { last } else { *errors };
        // Of few calls each fails in all ways; of many, one way after the other.
        let is_rare = calls.clone().count() <= errors.len() && kind == Kind::Plain;
        let ways = if is_rare { errors.len() } else { 1 };
        let firsts = calls.step_by(step).flat_map(|first| iter::repeat_n(first, ways));
        for (first, error) in firsts.zip(errors.iter().cycle()) {
            let options =
                format!("-e trace={call} -e inject={call}:error={error}:when={first}{and_on}");
            let fault = under_strace(&format!("{call}-{first}-{error}"), &options);
            let kept = if !KEEPING.contains(call) {
                0
            } else if for_good {
                1024
            } else {
                1
            };
            faults.push(Fault { for_good, hits_log: *call == "write", kept, ..fault });
        }
    }
    let injected = AtomicUsize::new(0);
    run_all(name, kind, faults.into_iter(), |_, outcome| {
        injected.fetch_add(usize::from(!outcome.failed.is_empty()), Ordering::Relaxed);
        Ok(())
    })?;
    println!("faults injected: {}", injected.load(Ordering::Relaxed));
    ensure!(injected.into_inner() > 0, "nothing has failed");
    Ok(())
}

#[test]
fn each_system_call_fails_once() -> Result<()> {
    fail_each("call", Kind::Plain, CALLS, usize::MAX, false)
}

#[test]
fn each_so_many_system_calls_with_tls_one_fails_once() -> Result<()> {
    fail_each("call-tls", Kind::Secured, SECURED_CALLS, 8, false)
}

#[test]
fn system_calls_fail_from_some_time_on() -> Result<()> {
    fail_each("all-calls", Kind::Plain, CALLS, 2, true)
}
