//! One log line, taken apart.
//!
//! A line is `2026-11-23T10:00:00.123+01:00 LEVEL label message key=value ...`. The message ends
//! where the first
//! `key=value` begins; a word without `=` after that belongs to the value before it, and a value
//! may stand in double quotes.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::{TestError, TestResult};

/// How grave a line is; the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl FromStr for Level {
    type Err = TestError;

    fn from_str(text: &str) -> TestResult<Self> {
        match text {
            "ERROR" => Ok(Self::Error),
            "WARN" => Ok(Self::Warn),
            "INFO" => Ok(Self::Info),
            "DEBUG" => Ok(Self::Debug),
            "TRACE" => Ok(Self::Trace),
            other => Err(TestError::new(format!("{other:?} is not a log level"))),
        }
    }
}

/// One line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The time stamp as written.
    pub time: String,
    /// The level.
    pub level: Level,
    /// Who speaks: `master`, `manager`, `w0.3`.
    pub label: String,
    /// The words before the first field.
    pub message: String,
    /// The fields by name.
    pub fields: BTreeMap<String, String>,
}

impl LogLine {
    /// Takes a line apart; `None` when it is no log line (a panic message, a stray print).
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (time, rest) = line.split_once(' ')?;
        if !is_time(time) {
            return None;
        }
        let (level, rest) = rest.trim_start().split_once(' ')?;
        let rest = rest.trim_start();
        let (label, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut words = split_words(rest).into_iter().peekable();
        let mut message = Vec::new();
        while let Some(word) = words.next_if(|word| as_field(word).is_none()) {
            message.push(word);
        }
        let mut fields = BTreeMap::new();
        let mut last = String::new();
        for word in words {
            if let Some((key, value)) = as_field(word) {
                key.clone_into(&mut last);
                fields.insert(last.clone(), unquote(value));
            } else if let Some(value) = fields.get_mut(&last) {
                value.push(' ');
                value.push_str(word);
            }
        }
        Some(Self {
            time: time.to_owned(),
            level: level.parse().ok()?,
            label: label.to_owned(),
            message: message.join(" "),
            fields,
        })
    }

    /// A field's text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A field's number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// Slot and generation, when a worker speaks.
    #[must_use]
    pub fn worker(&self) -> Option<(u16, u32)> {
        let (slot, generation) = self.label.strip_prefix('w')?.split_once('.')?;
        Some((slot.parse().ok()?, generation.parse().ok()?))
    }
}

/// Local time with its offset from UTC, east or west, or UTC.
fn is_time(text: &str) -> bool {
    const SHAPES: [&str; 3] = [
        "2026-11-23T10:00:00.123+01:00",
        "2026-11-23T10:00:00.123-01:00",
        "2026-11-23T10:00:00.123Z",
    ];
    SHAPES.iter().any(|shape| has_shape(text, shape))
}

/// Same length, digits where digits stand in the shape, the rest equal.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| {
            if shape.is_ascii_digit() { byte.is_ascii_digit() } else { byte == shape }
        })
}

/// Splits at blanks outside double quotes.
fn split_words(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |letter: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match letter {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        letter == ' ' && !quoted
    })
    .filter(|word| !word.is_empty())
    .collect()
}

fn as_field(word: &str) -> Option<(&str, &str)> {
    let (key, value) = word.split_once('=')?;
    let named = key.starts_with(|letter: char| letter.is_ascii_lowercase())
        && key.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '_' | '.'));
    named.then_some((key, value))
}

fn unquote(value: &str) -> String {
    match value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-23T10:00:00.123+01:00";

    #[test]
    fn a_line_is_taken_apart() {
        let text =
            format!("{TIME} WARN w0.3 worker is slow pid=12 cause=killed by 9 text=\"a \\\"b\"");
        let line = LogLine::parse(&text).unwrap();
        assert_eq!((line.level, line.label.as_str()), (Level::Warn, "w0.3"));
        assert_eq!(line.message, "worker is slow");
        assert_eq!(line.number("pid"), Some(12));
        assert_eq!(line.field("cause"), Some("killed by 9"));
        assert_eq!(line.field("text"), Some("a \"b"));
        assert_eq!(line.worker(), Some((0, 3)));
    }

    #[test]
    fn padding_and_bare_messages_are_read() {
        let line = LogLine::parse(&format!("{TIME}  INFO  manager ready")).unwrap();
        assert_eq!((line.level, line.message.as_str()), (Level::Info, "ready"));
        assert_eq!(line.worker(), None);
        assert_eq!(LogLine::parse("thread 'main' panicked at src/main.rs:1:1:"), None);
        assert_eq!(LogLine::parse(&format!("{TIME} LOUD master hello")), None);
    }
}
