//! Each allocation of the process fails: those of the relay, of libmosquitto and of the C library.
//! The relay is linked with `c-tests/torture/relay/failing_malloc.c`.

use crate::scene::{Fault, run_all};
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};

/// The variable that tells which fail.
const FAILING: &str = "FAILING";

/// Has so many allocations in a row fail, beginning with each in turn.
fn fail_each(name: &str, many: usize) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let faults = (1..).take_while(|_| !is_over.load(Ordering::Relaxed)).map(|first| Fault {
        name: format!("{name}-{first}"),
        runner: String::new(),
        variable: Some((FAILING, format!("{first} {many}"))),
        trace: None,
        for_good: many == usize::MAX,
        hits_log: false,
    });
    run_all(name, faults, |fault, outcome| {
        let is_first = fault.name.ends_with("-1");
        ensure!(!is_first || !outcome.failed.is_empty(), "the relay has no {FAILING} in it");
        if outcome.failed.is_empty() {
            is_over.store(true, Ordering::Relaxed);
        }
        Ok(())
    })
}

#[test]
fn each_allocation_fails_once() -> Result<()> {
    fail_each("allocation", 1)
}

#[test]
fn all_allocations_fail_from_some_time_on() -> Result<()> {
    fail_each("all-allocations", usize::MAX)
}
