//! The results as tables in Markdown.

use crate::measure::Measurement;
use crate::results::{Results, TOLERABLE_SPREAD};
use clap::ValueEnum;
use load::cell::{Pace, Scenario};
use std::fmt::Write;
use std::ops::Range;

/// Shown where there is no value.
const NOTHING: &str = "-";
/// With fewer rounds than this, their spread says nothing.
const FEW_ROUNDS: usize = 3;

/// A column's title, and its text in each row.
type Column<'a> = (&'a str, Box<dyn Fn(usize) -> String + 'a>);

fn column<'a>(title: &'a str, value: impl Fn(usize) -> String + 'a) -> Column<'a> {
    (title, Box::new(value))
}

pub fn table(results: &Results) -> String {
    let (machine, notes) = results.notes.split_first().expect("the machine is noted");
    let rounds = results.rounds();
    let mut text = format!("{machine}.\nMedians of {rounds} interleaved rounds.\n");
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    if !results.plain_cells().is_empty() {
        text += &noise(results);
        text += &summary(results);
        text += &cells(results);
    }
    for scenario in Scenario::value_variants() {
        text += &match (scenario, &results.cells_of(*scenario)[..]) {
            (Scenario::Stalled, &[without, with]) => stalled(results, without, with),
            (Scenario::Idle, &[without, with]) => idle(results, without, with),
            (_, cells) => cells.iter().map(|cell| latency(results, *cell)).collect(),
        };
    }
    text + &problems(results)
}

fn noise(results: &Results) -> String {
    if results.rounds() < FEW_ROUNDS {
        return format!(
            "**Fewer than {FEW_ROUNDS} rounds do not tell how noisy the machine is.**\n"
        );
    }
    let others = 1..results.contenders.len();
    let ratios = results.plain_cells().flat_map(|cell| others.clone().map(move |who| (cell, who)));
    let noisy = ratios.clone().filter(|(cell, who)| results.is_noisy(*cell, *who)).count();
    let limit = percent(TOLERABLE_SPREAD);
    match noisy {
        0 => format!("The middle half of each ratio's rounds lies within {limit}.\n"),
        _ => format!(
            "**Too noisy to tell: {noisy} of {} ratios**, marked ~. The middle half of their \
             rounds lies more than {limit} apart.\n",
            ratios.count()
        ),
    }
}

/// A row for each contender.
fn summary(results: &Results) -> String {
    let cells = results.plain_cells();
    let ratios = |who| cells.clone().filter_map(move |cell| results.ratio(cell, who));
    let worst = |who| ratios(who).reduce(f64::max);
    let mean = |who| Some(ratios(who).sum::<f64>() / ratios(who).count() as f64);
    let peak = |who| cells.clone().filter_map(|cell| results.peak_kib(cell, who)).max();
    let is_faulty = |cell: &usize, who| !results.problems(*cell, who).is_empty();
    let faulty = |who| cells.clone().filter(|cell| is_faulty(cell, who)).count();
    by_contender(
        results,
        "All cells",
        vec![
            column("mean ratio", |who| ratio(mean(who))),
            column("worst ratio", |who| ratio(worst(who))),
            column("in user space", |who| percent(results.user_share(who))),
            column("peak MiB", |who| mebibytes(peak(who))),
            column("cells with faults", |who| faulty(who).to_string()),
        ],
    )
}

/// A row for each cell and a column for each contender, in a table for each thing that is measured.
fn cells(results: &Results) -> String {
    let reference = &results.contenders[0];
    let reference_ns = format!("{reference}, ns");
    let mut text = by_cell(
        results,
        &format!("Server CPU per delivery, as a ratio to that of {reference}"),
        Some(column(&reference_ns, |cell| number(results.cpu_ns(cell, 0)))),
        |cell, who| {
            let mark = if results.is_noisy(cell, who) { "~" } else { "" };
            format!("{mark}{}", ratio(results.ratio(cell, who)))
        },
    );
    text += &by_cell(results, "Thousand deliveries per second", None, |cell, who| {
        number(results.median(cell, who, |m| m.deliveries_per_second() / 1e3))
    });
    text += &by_cell(results, "Latency, 99th percentile, ms", None, |cell, who| {
        milliseconds(results.median(cell, who, |m| m.p99_ns as f64))
    });
    text + &by_cell(results, "Peak memory, MiB", None, |cell, who| {
        mebibytes(results.peak_kib(cell, who))
    })
}

fn latency(results: &Results, cell: usize) -> String {
    let load = &results.cells[cell];
    let mut title = format!(
        "Latency in ms: {} senders of {} clients, {} lines a second in all",
        load.senders,
        load.clients,
        pace(load.pace)
    );
    if load.flooders > 0 {
        let _ = write!(title, ", flooders among them: {}", load.flooders);
    }
    let latency = |title, value: fn(&Measurement) -> u64| {
        let value = move |m: &Measurement| value(m) as f64;
        column(title, move |who| milliseconds(results.median(cell, who, value)))
    };
    let megabytes = |m: &Measurement| m.deliveries_per_second() * load.bytes as f64 / 1e6;
    by_contender(
        results,
        &title,
        vec![
            latency("50 %", |m| m.p50_ns),
            latency("99 %", |m| m.p99_ns),
            latency("99.9 %", |m| m.p999_ns),
            latency("longest", |m| m.longest_ns),
            column("CPU per delivery, ns", |who| number(results.cpu_ns(cell, who))),
            column("delivered, MB/s", |who| number(results.median(cell, who, megabytes))),
        ],
    )
}

fn stalled(results: &Results, without: usize, with: usize) -> String {
    let load = &results.cells[without];
    let title = format!("A reader that has stopped, among {} others ({load})", load.clients);
    let rate = |cell, who| number(results.median(cell, who, |m| m.deliveries_per_second() / 1e3));
    let p99 = |cell, who| milliseconds(results.median(cell, who, |m| m.p99_ns as f64));
    let longest = |cell, who| milliseconds(results.median(cell, who, |m| m.longest_ns as f64));
    let growth = |who, value| ratio(results.growth([without, with], who, value));
    let cut_off = |who| results.median(with, who, |m| f64::from(m.cut_off));
    let yes_or_no = |share| if share > 0.5 { "yes" } else { "no" };
    by_contender(
        results,
        &title,
        vec![
            column("1,000/s without", |who| rate(without, who)),
            column("with", |who| rate(with, who)),
            column("ratio", |who| growth(who, Measurement::deliveries_per_second)),
            column("CPU per delivery, ns, without", |who| number(results.cpu_ns(without, who))),
            column("with", |who| number(results.cpu_ns(with, who))),
            column("ratio", |who| growth(who, Measurement::cpu_per_delivery_ns)),
            column("99 %, ms, without", |who| p99(without, who)),
            column("with", |who| p99(with, who)),
            column("longest, ms, without", |who| longest(without, who)),
            column("with", |who| longest(with, who)),
            column("cut off", |who| cut_off(who).map_or(NOTHING, yes_or_no).into()),
        ],
    )
}

fn idle(results: &Results, without: usize, with: usize) -> String {
    let others = results.cells[with].clients - results.cells[without].clients;
    let growth = |who| results.growth([without, with], who, Measurement::cpu_per_delivery_ns);
    let relative = |who| growth(who).zip(growth(0)).map(|(own, reference)| own / reference);
    let resident = |who| results.median(with, who, |m| m.joined_kib as f64).map(|kib| kib as u64);
    by_contender(
        results,
        &format!("Two clients that send to each other, alone and with {others} idle ones"),
        vec![
            column("CPU per delivery, ns, alone", |who| number(results.cpu_ns(without, who))),
            column("with them", |who| number(results.cpu_ns(with, who))),
            column("growth", |who| ratio(growth(who))),
            column("growth relative to the reference", |who| ratio(relative(who))),
            column("resident with them, MiB", |who| mebibytes(resident(who))),
        ],
    )
}

/// The faults of each contender, and the reason where one could not be measured.
fn problems(results: &Results) -> String {
    let mut text = String::new();
    for (cell, load) in results.cells.iter().enumerate() {
        for (who, contender) in results.contenders.iter().enumerate() {
            let problems = results.problems(cell, who);
            let Some(first) = problems.first() else { continue };
            let (bad, all) = (problems.len(), results.outcomes[cell][who].len());
            let _ = writeln!(
                text,
                "- {contender} at {load}: {first} (something in {bad} of {all} rounds)"
            );
        }
    }
    if text.is_empty() {
        return "\nNothing was lost, doubled, torn, out of order or echoed.\n".into();
    }
    format!("\n### Faults\n\n{text}")
}

fn by_contender(results: &Results, title: &str, values: Vec<Column>) -> String {
    let mut columns = vec![column("contender", |who| results.contenders[who].clone())];
    columns.extend(values);
    markdown(title, "---", 0..results.contenders.len(), &columns)
}

fn by_cell<'a>(
    results: &'a Results,
    title: &str,
    reference: Option<Column<'a>>,
    value: impl Fn(usize, usize) -> String,
) -> String {
    let value = &value;
    let mut columns = vec![
        column("N", |cell| results.cells[cell].clients.to_string()),
        column("S", |cell| results.cells[cell].senders.to_string()),
        column("B", |cell| results.cells[cell].bytes.to_string()),
        column("W", |cell| pace(results.cells[cell].pace)),
    ];
    columns.extend(reference);
    let names = results.contenders.iter().enumerate();
    columns.extend(names.map(|(who, name)| column(name, move |cell| value(cell, who))));
    markdown(title, "--:", results.plain_cells(), &columns)
}

/// A table whose first column is aligned as given; all others hold numbers, aligned to the right.
fn markdown(title: &str, first: &str, rows: Range<usize>, columns: &[Column]) -> String {
    let titles: Vec<_> = columns.iter().map(|(title, _)| *title).collect();
    let others = "|--:".repeat(columns.len() - 1);
    let mut text = format!("\n### {title}\n\n| {} |\n|{first}{others}|\n", titles.join(" | "));
    for row in rows {
        let fields: Vec<_> = columns.iter().map(|(_, value)| value(row)).collect();
        let _ = writeln!(text, "| {} |", fields.join(" | "));
    }
    text
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

/// At least three significant digits.
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
