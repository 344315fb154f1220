//! Checks for `make coverage` that `uncovered.md` has a reason for whatever the tests do not run.
//!
//! That is every line that is never run, and in the library also every line with a branch that is
//! never taken. (In the server many of those depend on the kernel and the clock.) The document
//! quotes the lines, which must be in the source and uncovered. Below a file's name with
//! `NOW_AND_THEN` are lines that only some runs reach; they must be in the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

const NOW_AND_THEN: &str = ", now and then";
const REASONS: &str = include_str!("uncovered.md");

/// Lines of a file that are not covered, counted from 0.
type Uncovered = BTreeMap<String, BTreeSet<usize>>;

/// What a tracefile in lcov's format says of the sources below `root`.
fn uncovered(trace: &str, root: &Path) -> Uncovered {
    let mut uncovered = Uncovered::new();
    let mut file = String::new();
    for line in trace.lines() {
        let Some((kind, rest)) = line.split_once(':') else { continue };
        let fields: Vec<_> = rest.split(',').collect();
        let is_library = file.ends_with(".rs");
        match (kind, &fields[..]) {
            ("SF", [path]) => {
                let path = Path::new(path).strip_prefix(root).expect("a source of ours");
                file = path.display().to_string();
                uncovered.insert(file.clone(), BTreeSet::new());
            }
            ("DA", [number, "0"]) => add(&mut uncovered, &file, number),
            ("BRDA", [number, _, _, "0" | "-"]) if is_library => add(&mut uncovered, &file, number),
            _ => {}
        }
    }
    uncovered
}

fn add(uncovered: &mut Uncovered, file: &str, number: &str) {
    let number: usize = number.parse().expect("a line's number");
    uncovered.get_mut(file).expect("a file comes first").insert(number - 1);
}

/// The pieces of code that the document shows, and the file that each is from. A piece is
/// indented, and stands below its reason.
fn shown() -> Vec<(String, Vec<String>)> {
    let mut pieces: Vec<(String, Vec<String>)> = Vec::new();
    let mut file = None;
    let mut before = "";
    for line in REASONS.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            file = Some(name.to_owned());
        } else if line.starts_with("    ") {
            let code = line.trim().to_owned();
            match pieces.last_mut().filter(|_| before.starts_with("    ")) {
                Some((_, lines)) => lines.push(code),
                None => pieces.push((file.clone().expect("a file comes first"), vec![code])),
            }
        }
        before = line;
    }
    pieces
}

/// Takes out of `uncovered` what the piece explains; false when that is nothing.
fn explain(uncovered: &mut Uncovered, file: &str, piece: &[String], source: &[&str]) -> bool {
    let Some(lines) = uncovered.get_mut(file) else { return false };
    let before = lines.len();
    for start in places(piece, source) {
        lines.retain(|line| !(start..start + piece.len()).contains(line));
    }
    lines.len() < before
}

fn is_there(piece: &[String], source: &[&str]) -> bool {
    places(piece, source).next().is_some()
}

/// The lines that the piece begins with, wherever it stands.
fn places<'a>(piece: &'a [String], source: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
    let windows = source.windows(piece.len()).enumerate();
    windows.filter_map(move |(start, window)| {
        window.iter().zip(piece).all(|(line, wanted)| line.trim() == wanted).then_some(start)
    })
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let trace = env::var_os("COVERAGE").expect("COVERAGE is a file, as `make coverage` makes it");
    let trace = fs::read_to_string(root.join(trace)).expect("the tracefile can be read");
    let mut uncovered = uncovered(&trace, root);
    assert!(uncovered.contains_key("src/pool.rs"), "the library has been looked at");
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let mut complaints = Vec::new();
    for (file, piece) in shown() {
        let name = file.strip_suffix(NOW_AND_THEN).unwrap_or(&file);
        let source = read(name);
        let source: Vec<_> = source.lines().collect();
        let is_needed = explain(&mut uncovered, name, &piece, &source);
        if !is_needed && !(name != file && is_there(&piece, &source)) {
            complaints.push(format!("{file}: covered, or not there: {}", piece.join(" ")));
        }
    }
    for (file, lines) in &uncovered {
        let source = read(file);
        let source: Vec<_> = source.lines().collect();
        for line in lines.iter().filter(|line| source[**line].contains(char::is_alphanumeric)) {
            let text = source[*line].trim();
            complaints.push(format!("{file}:{}: not covered, and no reason why: {text}", line + 1));
        }
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    println!("{} passed, {} failed", shown().len(), complaints.len());
    ExitCode::from(u8::from(!complaints.is_empty()))
}
