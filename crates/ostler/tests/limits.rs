//! `docs/LIMITS.md` has every fixed limit of the code, with its value.
//!
//! A constant counts as a limit by its name: what ends with `_MAX`, `_BYTES`, `_MS` and so on
//! bounds something. The list may say more (rules that are no constants), never less.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the name of a limit ends with.
const ENDINGS: &[&str] = &[
    "MAX", "MIN", "BYTES", "MS", "NS", "TRIES", "SPINS", "PER_TURN", "BATCH", "CHUNK", "ABOVE",
    "AT_MOST",
];

/// Constants with such a name that bound nothing by themselves.
const NO_LIMITS: &[(&str, &str)] = &[
    ("options/plan.rs", "LANE_SIZE_MIN"), // the one of shm, by another name
    // Places of words of a line.
    ("shm/session_traffic.rs", "RECEIVED_BYTES"),
    ("shm/session_traffic.rs", "SENT_BYTES"),
    ("shm/session_traffic.rs", "UNGIVEN_BYTES"),
    ("shm/session_traffic.rs", "UNSENT_BYTES"),
];

/// Files whose constants belong to a table of options, which has their limits.
const TABLES: &str = "options/table/";

/// A constant: its value in bytes, milliseconds or as it is; `None` when it is no plain number.
type Found = BTreeMap<(String, String), Option<u64>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{error}")) {
        let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The limits in the code without its tests, by file and name.
fn limits_in_code() -> Found {
    let mut found = Found::new();
    for (krate, prefix) in [("core", "core/"), ("shm", "shm/"), ("ostler", "")] {
        let base = root().join("crates").join(krate).join("src");
        let mut files = Vec::new();
        sources(&base, &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}"));
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
            let inside = file.strip_prefix(&base).unwrap_or(&file).display();
            let place = format!("{prefix}{inside}");
            for line in code.lines() {
                let Some((name, value)) = constant(line) else { continue };
                let is_limit = ENDINGS.iter().any(|end| {
                    name.strip_suffix(end)
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
                });
                if is_limit && !place.starts_with(TABLES) {
                    found.insert((place.clone(), name.to_owned()), evaluate(value));
                }
            }
        }
    }
    found
}

/// Name and value of `const NAME: TYPE = VALUE;` with a type that counts.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("const ").filter(|(before, _)| {
        let before = before.trim();
        before.is_empty() || before.starts_with("pub")
    })?;
    let (name, rest) = rest.split_once(": ")?;
    let (kind, value) = rest.split_once(" = ")?;
    let counts = ["usize", "u8", "u16", "u32", "u64", "Millis", "Nanos", "Duration"];
    counts.contains(&kind).then_some((name, value.trim_end_matches(';')))
}

/// The number that an expression is; a `Duration` in milliseconds.
fn evaluate(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("Duration::from_millis(") {
        return evaluate(inner.strip_suffix(')')?);
    }
    if let Some(inner) = text.strip_prefix("Duration::from_secs(") {
        return evaluate(inner.strip_suffix(')')?)?.checked_mul(1_000);
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return Some(evaluate(left)? << evaluate(right)?);
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return evaluate(left)?.checked_mul(evaluate(right)?);
    }
    match text {
        "KIB" | "size::KIB" => Some(1 << 10),
        "MIB" | "size::MIB" => Some(1 << 20),
        _ => text.replace('_', "").parse().ok(),
    }
}

/// The limits in the documentation that name a constant, by file and name.
fn limits_in_documentation() -> Found {
    let text = std::fs::read_to_string(root().join("docs/LIMITS.md"))
        .unwrap_or_else(|error| panic!("{error}"));
    let mut found = Found::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "six cells: {line}");
        let [_, limit, value, unit, reason, name, place, _] = cells[..] else { continue };
        assert!(![limit, value, unit, reason, place].contains(&""), "a cell is empty: {line}");
        if let Some(name) = name.strip_prefix('`') {
            let place = place.trim_matches('`').to_owned();
            let key = (place, name.trim_matches('`').to_owned());
            assert!(found.insert(key, Some(written(value))).is_none(), "twice: {line}");
        }
    }
    found
}

/// A value as the documentation writes it: `1 000`, `64 KiB`.
fn written(value: &str) -> u64 {
    let (digits, unit) = match (value.strip_suffix(" KiB"), value.strip_suffix(" MiB")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (value, 1),
    };
    let number: u64 = digits.replace(' ', "").parse().unwrap_or_else(|_| panic!("{value}"));
    number * unit
}

#[test]
fn every_fixed_limit_is_documented_with_its_value() {
    let (code, documented) = (limits_in_code(), limits_in_documentation());
    assert!(code.len() > 40, "the search finds the constants: {code:#?}");
    let mut wrong = Vec::new();
    for ((place, name), value) in &code {
        if NO_LIMITS.contains(&(place.as_str(), name.as_str())) {
            continue;
        }
        match documented.get(&(place.clone(), name.clone())) {
            None => wrong.push(format!("{place}: `{name}` ({value:?}) is missing")),
            Some(told) if value.is_some() && told != value => {
                wrong.push(format!("{place}: `{name}` is {value:?}, but {told:?} is written"));
            }
            Some(_) => {}
        }
    }
    for (place, name) in documented.keys() {
        let path = match place.split_once('/') {
            Some((krate @ ("core" | "shm"), rest)) => format!("crates/{krate}/src/{rest}"),
            _ => format!("crates/ostler/src/{place}"),
        };
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        if !text.contains(&format!("const {name}: ")) {
            wrong.push(format!("{place} has no `{name}`"));
        }
    }
    assert!(wrong.is_empty(), "docs/LIMITS.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_restart_intensity_is_the_documented_one() {
    let settings = ostler_core::supervisor::GroupSettings::default();
    let (deaths, seconds) = (settings.restart_intensity, settings.restart_period_ms / 1_000);
    let text = std::fs::read_to_string(root().join("docs/LIMITS.md")).unwrap_or_default();
    let row = format!("| restart intensity | {deaths} deaths in {seconds} s |");
    assert!(text.contains(&row), "{row}");
}
