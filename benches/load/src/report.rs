//! The results as tables in Markdown, and every single measurement as CSV.

use crate::cell::{Pace, Scenario};
use crate::measure::Measurement;
use crate::results::{Results, TOLERABLE_SPREAD};
use crate::stats::mean;
use std::fmt::Write;

/// What stands where there is nothing to say.
const NOTHING: &str = "-";
/// What lies how far apart among fewer than these says nothing.
const FEW_ROUNDS: usize = 3;

pub fn table(results: &Results) -> String {
    let rounds = results.outcomes[0][0].len();
    let mut text = format!("{}.\nMedians of {rounds} interleaved rounds.\n", results.machine);
    if results.cores_are_one {
        text.push_str("Server and generator share the only core: take no number for more.\n");
    }
    for contender in &results.missing {
        let _ =
            writeln!(text, "Not on this machine: {} (`{}`).", contender.name, contender.command());
    }
    if results.nr_plain > 0 {
        text.push_str(&noise(results));
        text.push_str(&summary(results));
        text.push_str(&cells(results));
    }
    for (scenario, cells) in &results.scenarios {
        text.push_str(&match scenario {
            Scenario::Latency | Scenario::Flood => {
                cells.clone().map(|cell| latency(results, cell)).collect()
            }
            Scenario::Stalled => stalled(results, cells.start, cells.start + 1),
            Scenario::Idle => idle(results, cells.start, cells.start + 1),
        });
    }
    text.push_str(&problems(results));
    text
}

fn noise(results: &Results) -> String {
    if results.outcomes[0][0].len() < FEW_ROUNDS {
        return format!(
            "**Fewer than {FEW_ROUNDS} rounds do not tell how noisy the machine is.**\n"
        );
    }
    let others = 1..results.contenders.len();
    let ratios = (0..results.nr_plain).flat_map(|cell| others.clone().map(move |who| (cell, who)));
    let noisy = ratios.clone().filter(|(cell, who)| results.is_noisy(*cell, *who)).count();
    let limit = percent(TOLERABLE_SPREAD);
    match noisy {
        0 => format!("The middle half of each ratio's rounds lies within {limit}.\n"),
        _ => format!(
            "**Too noisy to tell: {noisy} of {} ratios**, marked ~. The middle half of their rounds \
             lies more than {limit} apart.\n",
            ratios.count()
        ),
    }
}

/// A line a contender.
fn summary(results: &Results) -> String {
    let mut text = heading(
        "All cells",
        &[
            "contender",
            "mean ratio",
            "worst ratio",
            "in user space",
            "peak MiB",
            "cells with faults",
        ],
    );
    for (who, contender) in results.contenders.iter().enumerate() {
        let cells = 0..results.nr_plain;
        let ratios: Vec<_> = cells.clone().filter_map(|cell| results.ratio(cell, who)).collect();
        let worst = ratios.iter().copied().reduce(f64::max);
        let peak = cells.clone().filter_map(|cell| results.peak_kib(cell, who)).max();
        let faulty = cells.filter(|cell| !results.problems(*cell, who).is_empty()).count();
        row(
            &mut text,
            &[
                contender.name.clone(),
                ratio(worst.map(|_| mean(&ratios))),
                ratio(worst),
                percent(results.user_share(who)),
                mebibytes(peak),
                faulty.to_string(),
            ],
        );
    }
    text
}

/// A row a cell, a column a contender, in a table for each thing that is measured.
fn cells(results: &Results) -> String {
    let reference = &results.contenders[0].name;
    let mut text = matrix(
        results,
        &format!("Server CPU per delivery, as a ratio to that of {reference}"),
        Some(&format!("{reference}, ns")),
        |cell, who| {
            let mark = if results.is_noisy(cell, who) { "~" } else { "" };
            format!("{mark}{}", ratio(results.ratio(cell, who)))
        },
    );
    text += &matrix(results, "Thousand deliveries per second", None, |cell, who| {
        number(results.median(cell, who, |m| m.deliveries_per_second() / 1e3))
    });
    text += &matrix(results, "Latency, 99th percentile, ms", None, |cell, who| {
        milliseconds(results.median(cell, who, |m| m.p99_ns as f64))
    });
    text + &matrix(results, "Peak memory, MiB", None, |cell, who| {
        mebibytes(results.peak_kib(cell, who))
    })
}

fn matrix(
    results: &Results,
    title: &str,
    reference: Option<&str>,
    value: impl Fn(usize, usize) -> String,
) -> String {
    let names = results.contenders.iter().map(|contender| contender.name.as_str());
    let columns: Vec<_> = ["N", "S", "B", "W"].into_iter().chain(reference).chain(names).collect();
    let mut text = heading(title, &columns);
    for (cell, load) in results.cells[..results.nr_plain].iter().enumerate() {
        let mut fields = vec![
            load.clients.to_string(),
            load.speakers.to_string(),
            load.bytes.to_string(),
            pace(load.pace),
        ];
        fields.extend(reference.map(|_| number(results.cpu_ns(cell, 0))));
        fields.extend((0..results.contenders.len()).map(|who| value(cell, who)));
        row(&mut text, &fields);
    }
    text
}

fn latency(results: &Results, cell: usize) -> String {
    let load = &results.cells[cell];
    let mut title = format!(
        "Latency in ms: {} speakers of {} clients, {} lines a second in all",
        load.speakers,
        load.clients,
        pace(load.pace)
    );
    if load.flooders > 0 {
        let _ = write!(title, ", while {} more says as much as it can", load.flooders);
    }
    let columns = [
        "contender",
        "50 %",
        "99 %",
        "99.9 %",
        "longest",
        "CPU per delivery, ns",
        "heard by all, MB/s",
    ];
    let mut text = heading(&title, &columns);
    for (who, contender) in results.contenders.iter().enumerate() {
        let percentile =
            |of: fn(&Measurement) -> u64| milliseconds(results.median(cell, who, |m| of(m) as f64));
        row(
            &mut text,
            &[
                contender.name.clone(),
                percentile(|m| m.p50_ns),
                percentile(|m| m.p99_ns),
                percentile(|m| m.p999_ns),
                percentile(|m| m.longest_ns),
                number(results.cpu_ns(cell, who)),
                number(
                    results
                        .median(cell, who, |m| m.deliveries_per_second() * load.bytes as f64 / 1e6),
                ),
            ],
        );
    }
    text
}

fn stalled(results: &Results, without: usize, with: usize) -> String {
    let load = &results.cells[without];
    let title = format!("A reader who has stopped, among {} others ({load})", load.clients);
    let columns = [
        "contender",
        "1,000/s without",
        "with",
        "ratio",
        "CPU per delivery, ns, without",
        "with",
        "ratio",
        "99 %, ms, without",
        "with",
        "longest, ms, without",
        "with",
        "cut off",
    ];
    let mut text = heading(&title, &columns);
    for (who, contender) in results.contenders.iter().enumerate() {
        let rate = |cell| number(results.median(cell, who, |m| m.deliveries_per_second() / 1e3));
        let p99 = |cell| milliseconds(results.median(cell, who, |m| m.p99_ns as f64));
        let longest = |cell| milliseconds(results.median(cell, who, |m| m.longest_ns as f64));
        let growth = |value| ratio(results.growth([without, with], who, value));
        let cut_off = results.median(with, who, |m| f64::from(m.cut_off));
        row(
            &mut text,
            &[
                contender.name.clone(),
                rate(without),
                rate(with),
                growth(Measurement::deliveries_per_second),
                number(results.cpu_ns(without, who)),
                number(results.cpu_ns(with, who)),
                growth(Measurement::cpu_per_delivery_ns),
                p99(without),
                p99(with),
                longest(without),
                longest(with),
                cut_off.map_or(NOTHING, |share| if share > 0.5 { "yes" } else { "no" }).into(),
            ],
        );
    }
    text
}

fn idle(results: &Results, without: usize, with: usize) -> String {
    let others = results.cells[with].clients - results.cells[without].clients;
    let title = format!("A pair in conversation, alone and with {others} who listen");
    let columns = [
        "contender",
        "CPU per delivery, ns, alone",
        "with them",
        "growth",
        "growth to the reference's",
        "resident with them, MiB",
    ];
    let mut text = heading(&title, &columns);
    let growth = |who| results.growth([without, with], who, Measurement::cpu_per_delivery_ns);
    for (who, contender) in results.contenders.iter().enumerate() {
        let grown = growth(who);
        let resident = results.median(with, who, |m| m.joined_kib as f64);
        row(
            &mut text,
            &[
                contender.name.clone(),
                number(results.cpu_ns(without, who)),
                number(results.cpu_ns(with, who)),
                ratio(grown),
                ratio(grown.zip(growth(0)).map(|(own, reference)| own / reference)),
                mebibytes(resident.map(|kib| kib as u64)),
            ],
        );
    }
    text
}

/// Who lost what, and who could not be measured.
fn problems(results: &Results) -> String {
    let mut text = String::new();
    for (cell, load) in results.cells.iter().enumerate() {
        for (who, contender) in results.contenders.iter().enumerate() {
            let problems = results.problems(cell, who);
            let Some(first) = problems.first() else { continue };
            let (bad, all) = (problems.len(), results.outcomes[cell][who].len());
            let _ = writeln!(
                text,
                "- {} at {load}: {first} (something in {bad} of {all} rounds)",
                contender.name
            );
        }
    }
    if text.is_empty() {
        return "\nNothing was lost, doubled, torn, out of order or echoed.\n".into();
    }
    format!("\n### Faults\n\n{text}")
}

pub fn csv(results: &Results) -> String {
    let mut text = format!(
        "# {}\nclients,speakers,bytes,window,rate,flooders,stalled,contender,round,deliveries,seconds,\
         cpu_ns,user_ticks,system_ticks,p50_ns,p99_ns,p999_ns,longest_ns,joined_kib,peak_kib,lost,\
         doubled,torn,out_of_order,echoed,cut_off,error\n",
        results.machine
    );
    for (load, by_contender) in results.cells.iter().zip(&results.outcomes) {
        let (window, rate) = match load.pace {
            Pace::Closed(window) => (window.to_string(), String::new()),
            Pace::Open(rate) => (String::new(), rate.to_string()),
        };
        let load = format!(
            "{},{},{},{window},{rate},{},{}",
            load.clients, load.speakers, load.bytes, load.flooders, load.stalled
        );
        for (contender, outcomes) in results.contenders.iter().zip(by_contender) {
            for (round, outcome) in outcomes.iter().enumerate() {
                let fields = match outcome {
                    Ok(measurement) => csv_fields(measurement),
                    Err(error) => format!("{},{}", ",".repeat(16), error.replace(',', ";")),
                };
                let _ = writeln!(text, "{load},{},{},{fields}", contender.name, round + 1);
            }
        }
    }
    text
}

fn csv_fields(m: &Measurement) -> String {
    let faults = m.faults;
    format!(
        "{},{:.6},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},",
        m.deliveries,
        m.seconds,
        m.cpu_ns,
        m.user_ticks,
        m.system_ticks,
        m.p50_ns,
        m.p99_ns,
        m.p999_ns,
        m.longest_ns,
        m.joined_kib,
        m.peak_kib,
        faults.lost,
        faults.doubled,
        faults.torn,
        faults.out_of_order,
        faults.echoed,
        u8::from(m.cut_off),
    )
}

/// A title, and the first two lines of a table: names to the left, numbers to the right.
fn heading(title: &str, columns: &[&str]) -> String {
    let first = if columns[0] == "contender" { "---" } else { "--:" };
    let others = "|--:".repeat(columns.len() - 1);
    format!("\n### {title}\n\n| {} |\n|{first}{others}|\n", columns.join(" | "))
}

fn row(text: &mut String, fields: &[String]) {
    let _ = writeln!(text, "| {} |", fields.join(" | "));
}

fn pace(pace: Pace) -> String {
    match pace {
        Pace::Closed(window) => window.to_string(),
        Pace::Open(rate) => rate.to_string(),
    }
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.filter(|value| value.is_finite()).map_or(NOTHING.into(), show)
}

fn ratio(value: Option<f64>) -> String {
    shown(value, |value| format!("{value:.2}"))
}

/// Three digits that count, at least.
fn number(value: Option<f64>) -> String {
    shown(value, |value| match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    })
}

fn milliseconds(ns: Option<f64>) -> String {
    shown(ns, |ns| format!("{:.3}", ns / 1e6))
}

fn mebibytes(kib: Option<u64>) -> String {
    shown(kib.map(|kib| kib as f64), |kib| format!("{:.1}", kib / 1024.0))
}

fn percent(share: f64) -> String {
    shown(Some(share), |share| format!("{:.0} %", share * 100.0))
}
