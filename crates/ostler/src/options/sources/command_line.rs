//! Options on the command line, and the questions that every program answers.
//!
//! `--set NAME=VALUE`, `--NAME VALUE`, `--NAME=VALUE` (a `-` in the name is as good as a `_`),
//! `--config FILE`, `--check`,
//! `--print-options`, `--help`.

use std::ffi::OsString;

use crate::options::{nearest, shown, table};

/// What an argument says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// An option and its value.
    Option { name: String, value: String },
    /// A file of options.
    File(OsString),
    /// A question to be answered instead of serving.
    Question(Question),
    /// Nothing that is known here: for the program itself, or a mistake.
    Other(OsString),
    /// A known word that lacks its value or has a wrong one.
    Wrong(String),
}

/// What a program is asked for instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// How it is used.
    Help,
    /// Whether the options are valid.
    Check,
    /// What the options are.
    PrintOptions,
}

/// Takes the arguments apart, without the program's name.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Vec<Argument> {
    let mut arguments = arguments;
    let mut read = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else {
            read.push(Argument::Other(argument));
            continue;
        };
        read.push(match text {
            "-h" | "--help" => Argument::Question(Question::Help),
            "--check" => Argument::Question(Question::Check),
            "--print-options" => Argument::Question(Question::PrintOptions),
            "--config" => match arguments.next() {
                Some(file) => Argument::File(file),
                None => Argument::Wrong("`--config` needs the path of a TOML file".to_owned()),
            },
            "--set" => set(arguments.next()),
            _ => match text.strip_prefix("--").and_then(named) {
                Some((name, Some(value))) => Argument::Option { name, value: value.to_owned() },
                Some((name, None)) => match arguments.next().map(OsString::into_string) {
                    Some(Ok(value)) => Argument::Option { name, value },
                    _ => Argument::Wrong(format!("`{text}` needs a value")),
                },
                None => Argument::Other(argument),
            },
        });
    }
    read
}

fn set(pair: Option<OsString>) -> Argument {
    let pair = pair.map(|pair| pair.to_string_lossy().into_owned());
    match pair.as_deref().map(|pair| pair.split_once('=')) {
        Some(Some((name, value))) => {
            Argument::Option { name: name.to_owned(), value: value.to_owned() }
        }
        Some(None) => Argument::Wrong(format!(
            "`--set {}`: write `--set NAME=VALUE`",
            shown(pair.as_deref().unwrap_or_default())
        )),
        None => Argument::Wrong("`--set` needs NAME=VALUE".to_owned()),
    }
}

/// The option that `--TEXT` names, and the value behind a `=`.
fn named(text: &str) -> Option<(String, Option<&str>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let name = name.replace('-', "_");
    table::find(&name).map(|info| (info.name.to_owned(), value))
}

/// What to say about an argument that nobody knows.
pub(crate) fn unknown(argument: &OsString) -> String {
    let text = argument.to_string_lossy();
    let word = text.trim_start_matches('-').split('=').next().unwrap_or_default();
    let meant = nearest(word).filter(|_| text.starts_with("--"));
    match meant {
        Some(near) => {
            format!("the argument `{}` is unknown: did you mean `--{near}`?", shown(&text))
        }
        None => format!("the argument `{}` is unknown: --help lists what there is", shown(&text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Vec<Argument> {
        read(words.iter().map(OsString::from))
    }

    fn option(name: &str, value: &str) -> Argument {
        Argument::Option { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn options_on_the_command_line_have_three_forms() {
        let wanted = [option("drain_timeout_ms", "10s")];
        for words in [
            &["--set", "drain_timeout_ms=10s"][..],
            &["--drain_timeout_ms", "10s"],
            &["--drain-timeout-ms=10s"],
        ] {
            assert_eq!(of(words), wanted, "{words:?}");
        }
        assert_eq!(of(&["--log-file", "--odd"]), [option("log_file", "--odd")]);
        assert_eq!(of(&["--set", "worker=4"]), [option("worker", "4")], "told when it is checked");
    }

    #[test]
    fn options_questions_and_files_are_seen_anywhere() {
        assert_eq!(
            of(&["--config", "a.toml", "--check", "-h", "--print-options"]),
            [
                Argument::File("a.toml".into()),
                Argument::Question(Question::Check),
                Argument::Question(Question::Help),
                Argument::Question(Question::PrintOptions),
            ]
        );
    }

    #[test]
    fn options_on_the_command_line_that_are_wrong_are_told() {
        for words in [&["--set"][..], &["--set", "workers"], &["--workers"], &["--config"]] {
            assert!(matches!(of(words)[..], [Argument::Wrong(_)]), "{words:?}");
        }
        assert_eq!(of(&["--handler", "echo"]).len(), 2, "both are the program's");
        assert!(unknown(&"--worker=3".into()).ends_with("did you mean `--workers`?"));
        assert!(unknown(&"worker".into()).ends_with("--help lists what there is"));
    }
}
