//! What a program says about its options: the answers to `--help` and `--print-options`.

use std::fmt::Write as _;

use super::layers::Resolved;
use crate::options::{OptionInfo, OptionKind, Options, table};

/// The options as a TOML file that can be read back, each with its origin.
pub(crate) fn as_toml(resolved: &Resolved) -> String {
    let mut text = String::new();
    let mut topic = "";
    for info in table::rows() {
        if info.topic != topic {
            topic = info.topic;
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{gap}# {topic}");
        }
        let value = resolved.options.get(info.name).unwrap_or_default();
        let line = format!("{} = {}", info.name, toml_value(info, &value));
        let _ = match resolved.origin_of(info.name) {
            Some(origin) => writeln!(text, "{line:<44} # {origin}"),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// Bare where TOML has such values, quoted otherwise.
fn toml_value(info: &OptionInfo, value: &str) -> String {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || info.kind == OptionKind::Bool {
        return value.to_owned();
    }
    // A literal string needs no escapes, which keeps those of delimiters readable.
    if value.chars().all(|c| c != '\'' && !c.is_control()) {
        return format!("'{value}'");
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// How a program is used: its own words, then what every program of this library understands.
pub(crate) fn help(program: &str, own: &str, options: &Options) -> String {
    let mut text = format!("Usage: {program} [OPTION]...\n");
    if !own.is_empty() {
        let _ = write!(text, "\n{}\n", own.trim_end());
    }
    text.push_str(
        "
  --NAME VALUE        an option of the list below; also --NAME=VALUE and --set NAME=VALUE
  --config FILE       options from a TOML file, one `name = value` a line
  --check             says whether the options are valid, and ends
  --print-options     prints the options as a TOML file, and ends
  -h, --help          this text

The command line is stronger than the environment, that than the file, that than what the
program says itself.
Every value may also stand behind a `=`, as in --config=FILE.
Sizes take K, M, G (also KiB, MiB, GiB), times us, ms, s, min, h, d.
",
    );
    let mut topic = "";
    for info in table::rows() {
        if info.topic != topic {
            topic = info.topic;
            let _ = write!(text, "\n{topic}\n");
        }
        let now = options.get(info.name).unwrap_or_default();
        let now = if now.is_empty() { "empty".to_owned() } else { now };
        let head = format!("  --{} ({}; now {now})", info.name, info.kind.describe());
        for (index, line) in wrapped(head.trim_start(), 100).iter().enumerate() {
            let indent = if index == 0 { "  " } else { "        " };
            let _ = writeln!(text, "{indent}{line}");
        }
        for line in wrapped(info.effect, 92) {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}

/// `text` in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::layers::{Layer, Layers};
    use super::*;

    #[test]
    fn options_printed_can_be_read_back() {
        let mut layers = Layers::default();
        for (name, value) in [
            ("package_eof", "'\\0\""),
            ("log_file", "it's \"odd\"\t\\path"),
            ("drain_timeout_ms", "1.5min"),
            ("lane_size", "128K"),
        ] {
            layers.say(Layer::CommandLine, name, value, "command line");
        }
        let resolved = layers.resolve().unwrap();
        let text = as_toml(&resolved);
        assert!(text.contains("drain_timeout_ms = 90000"), "{text}");
        assert!(text.contains("# command line\n"), "{text}");
        let mut again = Layers::default();
        again.say_file("printed", &text);
        assert_eq!(again.resolve().unwrap().options, resolved.options, "{text}");
    }

    #[test]
    fn options_help_names_every_option_and_fits_the_screen() {
        let text = help("chat", "  --colour    in colour", &Options::default());
        assert!(text.contains("--colour"));
        for info in Options::table() {
            assert!(text.contains(&format!("  --{} (", info.name)), "{}", info.name);
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}
