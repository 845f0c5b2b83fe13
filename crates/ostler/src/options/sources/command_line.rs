//! Options on the command line, and the questions that every program answers.
//!
//! `--set NAME=VALUE`, `--NAME VALUE` (a `-` in the name is as good as a `_`), `--config FILE`,
//! `--port NAME=URL[,OPTION=VALUE...]`, `--check`, `--print-options`, `--ask REQUEST`, `--help`. A
//! value may also stand behind a `=`: `--NAME=VALUE`, `--config=FILE`, `--set=NAME=VALUE`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::options::{nearest, nearest_of, shown, table};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// How it is used.
    Help,
    /// Whether the options are valid.
    Check,
    /// What the options are.
    PrintOptions,
    /// What the server that runs with these options answers to this request of an operator.
    Ask(String),
}

/// The arguments besides the options of the table.
const WORDS: [&str; 7] = ["set", "port", "config", "check", "print-options", "ask", "help"];

/// Takes the arguments apart, without the program's name.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Vec<Argument> {
    let mut arguments = arguments;
    let mut read = Vec::new();
    let mut ports = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some((name, attached)) = split(&argument) else {
            read.push(Argument::Other(argument));
            continue;
        };
        let attached = attached.map(OsStr::to_owned);
        match name {
            "-h" | "--help" => read.push(question(Question::Help, name, attached)),
            "--check" => read.push(question(Question::Check, name, attached)),
            "--print-options" => read.push(question(Question::PrintOptions, name, attached)),
            "--ask" => read.push(ask(attached.or_else(|| arguments.next()))),
            "--config" => read.push(file(attached.or_else(|| arguments.next()))),
            "--set" => read.push(set(attached.or_else(|| arguments.next()))),
            "--port" => match port(attached.or_else(|| arguments.next()), &mut ports) {
                Ok(options) => read.extend(options),
                Err(problem) => read.push(Argument::Wrong(problem)),
            },
            _ => match table_name(name) {
                Some(of_table) => {
                    let value = attached.or_else(|| arguments.next());
                    read.push(option(name, of_table, value));
                }
                None => read.push(Argument::Other(argument)),
            },
        }
    }
    read
}

/// What stands before the first `=` of an argument, and what behind it.
fn split(argument: &OsStr) -> Option<(&str, Option<&OsStr>)> {
    let bytes = argument.as_bytes();
    let mut parts = bytes.splitn(2, |byte| *byte == b'=');
    let name = std::str::from_utf8(parts.next()?).ok()?;
    Some((name, parts.next().map(OsStr::from_bytes)))
}

fn question(question: Question, name: &str, attached: Option<OsString>) -> Argument {
    match attached {
        None => Argument::Question(question),
        Some(value) => {
            let value = shown(&value.to_string_lossy());
            Argument::Wrong(format!("`{name}={value}`: write `{name}`, it takes no value"))
        }
    }
}

fn ask(request: Option<OsString>) -> Argument {
    match request.map(OsString::into_string) {
        Some(Ok(request)) if !request.trim().is_empty() && !request.contains(['\n', '\r']) => {
            Argument::Question(Question::Ask(request))
        }
        Some(Ok(_)) => Argument::Wrong("`--ask` needs a request on one line".to_owned()),
        Some(Err(_)) => Argument::Wrong("the value of `--ask` is not UTF-8".to_owned()),
        None => Argument::Wrong(
            "`--ask` needs a request: `--ask help` lists what a server that runs answers"
                .to_owned(),
        ),
    }
}

fn file(path: Option<OsString>) -> Argument {
    match path.filter(|path| !path.is_empty()) {
        Some(path) => Argument::File(path),
        None => Argument::Wrong("`--config` needs the path of a TOML file".to_owned()),
    }
}

fn option(word: &str, name: String, value: Option<OsString>) -> Argument {
    match value.map(OsString::into_string) {
        Some(Ok(value)) => Argument::Option { name, value },
        Some(Err(_)) => Argument::Wrong(format!("the value of `{}` is not UTF-8", shown(word))),
        None => Argument::Wrong(format!("`{}` needs a value", shown(word))),
    }
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

/// Reads `NAME=URL[,OPTION=VALUE...]` as options of the port NAME. `known` are the ports that were
/// read before.
fn port(text: Option<OsString>, known: &mut Vec<String>) -> Result<Vec<Argument>, String> {
    const FORM: &str = "write `--port NAME=URL[,OPTION=VALUE...]`, for example \
        `--port admin=tcp://127.0.0.1:9502,framing=line`";
    let text = text.ok_or_else(|| format!("`--port` needs a value: {FORM}"))?;
    let text = text.into_string().map_err(|_| "the value of `--port` is not UTF-8".to_owned())?;
    let mut options = Vec::new();
    let mut name = None;
    for (number, part) in text.split(',').enumerate() {
        let Some((word, value)) = part.split_once('=') else {
            let text = shown(part);
            return Err(format!(
                "`--port`: `{text}` has no `=`: {FORM}; for a value that has a `,` write `--set \
                 port.NAME.OPTION=VALUE`"
            ));
        };
        let name = &*name.get_or_insert_with(|| word.trim().to_owned());
        let option = if number == 0 { "listen" } else { word.trim() };
        let name = format!("port.{name}.{option}");
        options.push(Argument::Option { name, value: value.to_owned() });
    }
    let name = name.unwrap_or_default();
    if known.contains(&name) {
        return Err(format!(
            "two ports are called `{}`: give one of them another name",
            shown(&name)
        ));
    }
    known.push(name);
    Ok(options)
}

/// The option that `--TEXT` names.
fn table_name(word: &str) -> Option<String> {
    let name = word.strip_prefix("--")?.replace('-', "_");
    if name.starts_with("port.") {
        // Whether a port has such an option is told when it is set.
        return Some(name);
    }
    table::find(&name).map(|info| info.name.to_owned())
}

/// What to say about an argument that nobody knows.
pub(crate) fn unknown(argument: &OsString) -> String {
    let text = argument.to_string_lossy();
    let word = text.trim_start_matches('-').split('=').next().unwrap_or_default();
    let meant = nearest_of(word, WORDS).or_else(|| nearest(word));
    let meant = meant.filter(|_| text.starts_with("--"));
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
    use std::os::unix::ffi::OsStringExt as _;

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
    fn what_is_asked_of_a_server_is_one_line() {
        let asks = |words: &[&str]| match of(words).pop() {
            Some(Argument::Question(Question::Ask(request))) => Ok(request),
            Some(Argument::Wrong(problem)) => Err(problem),
            other => panic!("{words:?}: {other:?}"),
        };
        assert_eq!(asks(&["--ask", "call w0 name bytes"]), Ok("call w0 name bytes".to_owned()));
        assert_eq!(asks(&["--ask=status"]), Ok("status".to_owned()));
        for wrong in [&["--ask"][..], &["--ask", " "], &["--ask", "stats\nstop"]] {
            assert!(asks(wrong).unwrap_err().contains("needs a request"), "{wrong:?}");
        }
    }

    #[test]
    fn options_of_a_port_stand_behind_its_url() {
        let wanted = [option("port.a.listen", "tcp://[::1]:0"), option("port.a.framing", "line")];
        for words in [
            &["--port", "a=tcp://[::1]:0,framing=line"][..],
            &["--port=a=tcp://[::1]:0,framing=line"],
            &["--port.a.listen", "tcp://[::1]:0", "--port.a.framing=line"],
            &["--set", "port.a.listen=tcp://[::1]:0", "--set", "port.a.framing=line"],
        ] {
            assert_eq!(of(words), wanted, "{words:?}");
        }
        let problem = |words: &[&str]| match of(words).pop() {
            Some(Argument::Wrong(problem)) => problem,
            other => panic!("{words:?}: {other:?}"),
        };
        assert!(problem(&["--port", "8080"]).contains("write `--port NAME=URL"));
        assert!(problem(&["--port"]).contains("needs a value"));
        assert!(problem(&["--port", "a=h:1,line"]).contains("`line` has no `=`"));
        let twice = problem(&["--port", "a=h:1", "--port", "a=h:2"]);
        assert!(twice.contains("two ports are called `a`"), "{twice}");
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
    fn every_flag_takes_its_value_behind_an_equals_sign_too() {
        assert_eq!(of(&["--set=drain_timeout_ms=10s"]), [option("drain_timeout_ms", "10s")]);
        assert_eq!(of(&["--config=a=b.toml"]), [Argument::File("a=b.toml".into())]);
        let odd = OsString::from_vec(b"--config=\xff.toml".to_vec());
        let path = OsString::from_vec(b"\xff.toml".to_vec());
        assert_eq!(read([odd].into_iter()), [Argument::File(path)]);
    }

    #[test]
    fn options_on_the_command_line_that_are_wrong_are_told() {
        for words in [
            &["--set"][..],
            &["--set", "workers"],
            &["--set=workers"],
            &["--workers"],
            &["--config"],
            &["--config="],
            &["--check=yes"],
            &["--help=workers"],
            &["--print-options=1"],
        ] {
            assert!(matches!(of(words)[..], [Argument::Wrong(_)]), "{words:?}");
        }
        let odd = OsString::from_vec(b"--log-file=\xff".to_vec());
        assert!(matches!(read([odd].into_iter())[..], [Argument::Wrong(_)]));
        assert_eq!(of(&["--handler", "echo"]).len(), 2, "both are the program's");
        assert!(unknown(&"--worker=3".into()).ends_with("did you mean `--workers`?"));
        for (slip, word) in [("--confg=a.toml", "config"), ("--chek", "check"), ("--sett", "set")] {
            let text = unknown(&slip.into());
            assert!(text.ends_with(&format!("did you mean `--{word}`?")), "{text}");
        }
        assert!(unknown(&"worker".into()).ends_with("--help lists what there is"));
    }
}
