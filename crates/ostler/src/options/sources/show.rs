//! What a program says about its options: the answers to `--help` and `--print-options`.

use std::fmt::Write as _;

use super::layers::Resolved;
use crate::options::ports::LISTEN;
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
        // Where ports are named, each of them says itself where it listens.
        if info.name != LISTEN || !resolved.options.has_named_ports() {
            write_option(&mut text, resolved, info, info.name);
        }
    }
    if resolved.options.has_named_ports() {
        for port in resolved.options.ports().iter() {
            let _ = writeln!(text, "\n[port.{}]", port.name);
            for info in table::rows().iter().filter(|info| port.has_own(info.name)) {
                write_option(
                    &mut text,
                    resolved,
                    info,
                    &format!("port.{}.{}", port.name, info.name),
                );
            }
        }
    }
    text
}

/// One option, whose full name is `name`.
fn write_option(text: &mut String, resolved: &Resolved, info: &OptionInfo, name: &str) {
    let value = resolved.options.get(name).unwrap_or_default();
    let line = format!("{} = {}", info.name, toml_value(info, &value));
    let synonym = match name {
        LISTEN => "port.main.listen",
        "port.main.listen" => LISTEN,
        name => name,
    };
    let origin = resolved.origin_of(name).or_else(|| resolved.origin_of(synonym));
    // Writing into a String cannot fail.
    let _ = match origin {
        Some(origin) => writeln!(text, "{line:<44} # {origin}"),
        None => writeln!(text, "{line}"),
    };
}

/// Bare where TOML has such values, quoted otherwise.
fn toml_value(info: &OptionInfo, value: &str) -> String {
    // A number has no zero in front, which permissions have.
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit())
        && !value.is_empty()
        && (value == "0" || !value.starts_with('0'));
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
  --port NAME=URL[,OPTION=VALUE...]
                      a port, with the options of its own; also --port.NAME.OPTION VALUE
  --config FILE       options from a TOML file, one `name = value` a line, a table [port.NAME]
                      for the options of one port
  --check             says whether the options are valid, and ends
  --print-options     prints the options as a TOML file, and ends
  --ask REQUEST       asks the server that runs with the same `operator_socket`, prints its
                      answer, and ends; --ask help lists the requests
  -h, --help          this text

The command line is stronger than the environment, that than the file, that than what the
program says itself. What is said for one port is stronger than what is said for all of them.
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
        let each = if info.is_of_port() { "; each port" } else { "" };
        let head = format!("  --{} ({}{each}; now {now})", info.name, info.kind.describe());
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
        // Who prints the address says it.
        layers.say(Layer::CommandLine, "listen", "127.0.0.1:9501", "");
        let said = layers.resolve().unwrap();
        assert_eq!(again.resolve().unwrap().options, said.options, "{text}");
    }

    #[test]
    fn options_of_ports_are_printed_as_tables_that_can_be_read_back() {
        let mut layers = Layers::default();
        for (name, value) in [
            ("port.admin.listen", "127.0.0.1:9502"),
            ("port.admin.framing", "line"),
            ("framing", "raw"),
            ("listen", "[::1]:9501"),
        ] {
            layers.say(Layer::CommandLine, name, value, "command line");
        }
        let resolved = layers.resolve().unwrap();
        let text = as_toml(&resolved);
        let (before, tables) = text.split_at(text.find("[port.main]").unwrap());
        assert!(!before.contains("listen = "), "{text}");
        for line in ["listen = 'tcp://[::1]:9501'", "[port.admin]", "framing = 'line'"] {
            assert!(tables.contains(line), "{line} is not in: {text}");
        }
        assert_eq!(tables.matches("# command line").count(), 3, "{text}");
        let mut again = Layers::default();
        again.say_file("printed", &text);
        let again = again.resolve().unwrap().options;
        assert_eq!(as_plans(&again), as_plans(&resolved.options), "{text}");
    }

    fn as_plans(options: &Options) -> String {
        format!(
            "{:?}",
            options.ports().iter().map(|plan| (plan.name, plan.options)).collect::<Vec<_>>()
        )
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
