//! Allocations of the process fail: those of the relay, of libmosquitto, of OpenSSL and of the C
//! library. The relay is linked with `c-tests/torture/relay/failing_malloc.c`.
//!
//! Each fails once in the plain scene, with --qos 0 and without MQTT 5. With TLS there are some
//! 16,000 of them, nearly all of OpenSSL's when it sets itself up and connects: every 7th fails at
//! the start, and then every 400th. That leaves out the second one, by which the name of the broker
//! is looked up: there glibc 2.36 crashes itself, since its getaddrinfo() does not see that
//! nss_database_state_get() has had no memory.

use crate::scene::{Fault, Kind, run_all};
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};

/// The variable that tells which fail.
const FAILING: &str = "FAILING";

/// Has so many allocations in a row fail, beginning with each of these in turn.
fn fail_each(
    name: &str,
    kind: Kind,
    many: usize,
    firsts: impl Iterator<Item = usize> + Send,
) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let faults = firsts.take_while(|_| !is_over.load(Ordering::Relaxed)).map(|first| Fault {
        name: format!("{name}-{first}"),
        runner: String::new(),
        variable: Some((FAILING, format!("{first} {many}"))),
        trace: None,
        for_good: many == usize::MAX,
        hits_log: false,
        kept: 0,
    });
    run_all(name, kind, faults, |fault, outcome| {
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
    fail_each("allocation", Kind::Plain, 1, 1..)
}

#[test]
fn each_allocation_without_confirmations_fails_once() -> Result<()> {
    fail_each("allocation-qos-0", Kind::Unconfirmed, 1, 1..)
}

#[test]
fn each_allocation_without_mqtt_5_fails_once() -> Result<()> {
    fail_each("allocation-old", Kind::Old, 1, 1..)
}

#[test]
fn each_so_many_allocations_with_tls_one_fails_once() -> Result<()> {
    fail_each("allocation-tls", Kind::Secured, 1, (1..60).step_by(7).chain((400..).step_by(400)))
}

#[test]
fn all_allocations_fail_from_some_time_on() -> Result<()> {
    fail_each("all-allocations", Kind::Plain, usize::MAX, 1..)
}

#[test]
fn all_allocations_with_tls_fail_from_some_time_on() -> Result<()> {
    fail_each("all-allocations-tls", Kind::Secured, usize::MAX, (1..).step_by(1000))
}
