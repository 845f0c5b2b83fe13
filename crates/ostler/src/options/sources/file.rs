//! A file of options: TOML, one `name = value` a line, and a table `[port.NAME]` for the options of
//! one port.

use toml::de::{DeTable, DeValue};

/// One option of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The value as [`crate::Options::set`] reads it.
    pub(super) value: String,
    pub(super) line: usize,
}

/// Something in the file that is no option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileProblem {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Reads the text of a file. With an error of syntax nothing else is said, because what follows it
/// may be misread.
pub(super) fn read(text: &str) -> (Vec<Entry>, Vec<FileProblem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut problems: Vec<_> = errors.iter().map(|error| syntax_problem(text, error)).collect();
        // One word without quotes is several errors of syntax to the parser.
        problems.dedup_by_key(|problem| problem.line);
        return (Vec::new(), problems);
    }
    let mut found = Found { text, entries: Vec::new(), problems: Vec::new() };
    found.take(table.get_ref(), "");
    let Found { mut entries, mut problems, .. } = found;
    entries.sort_by_key(|entry| entry.line);
    problems.sort_by_key(|problem| problem.line);
    (entries, problems)
}

/// What was found so far.
struct Found<'a> {
    text: &'a str,
    entries: Vec<Entry>,
    problems: Vec<FileProblem>,
}

impl Found<'_> {
    /// Takes a table whose keys stand behind `prefix`.
    fn take(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in table {
            let line = line_of(self.text, key.span().start);
            let name = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if may_be_table(&name) => {
                    self.take(inner, &format!("{name}."));
                }
                value => match spell(value) {
                    Ok(value) if name != "port" => {
                        self.entries.push(Entry { key: name, value, line })
                    }
                    Ok(_) => self.object(line, &name, "one value"),
                    Err(kind) => self.object(line, &name, kind),
                },
            }
        }
    }

    fn object(&mut self, line: usize, name: &str, kind: &str) {
        let text = format!(
            "`{}` is {kind}: write one value behind the name, for example `workers = 4` or \
             `log_level = \"debug\"`; only options of a port stand in a table, `[port.NAME]`",
            super::super::shown(name)
        );
        self.problems.push(FileProblem { line, text });
    }
}

/// `port`, and `port.NAME`.
fn may_be_table(name: &str) -> bool {
    name == "port" || name.strip_prefix("port.").is_some_and(|port| !port.contains('.'))
}

/// An error of syntax. TOML knows words only in quotes, which is what most of them are about.
fn syntax_problem(text: &str, error: &toml::de::Error) -> FileProblem {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    let message = error.message();
    let words = text.lines().nth(line - 1).and_then(unquoted);
    let text = match words {
        Some((name, value)) => {
            let (name, value) = (super::super::shown(name), super::super::shown(value));
            format!("not TOML: write `{name} = \"{value}\"`, words need quotes ({message})")
        }
        None => format!("not TOML: {message}"),
    };
    FileProblem { line, text }
}

/// A line that would be right if its value had quotes: the name and the value.
fn unquoted(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once('=')?;
    // Behind it there may be a comment.
    let value = rest.split(" #").next().unwrap_or(rest).trim();
    let is_word = |c: char| !c.is_control() && !"\"'[]{}#".contains(c);
    let is_plain = !value.is_empty() && value.chars().all(is_word);
    is_plain.then_some((name.trim(), value))
}

/// A value as text, or what it is instead.
fn spell(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(on) => Ok(on.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(decimal) => Ok(decimal.to_string()),
            // Too large for any option, which says so itself.
            Err(_) => Ok(number.as_str().to_owned()),
        },
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Datetime(_) => Err("a date"),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a table"),
    }
}

/// The number of the line that holds this byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_file_values_of_every_kind_become_text() {
        let (entries, problems) = read(
            "# a comment\nworkers = 4\nlog_level = \"debug\"\n\ntcp_nodelay = false\nbacklog = \
             0x10\n\
             package_eof = '\\r\\n'\nmemory_budget = \"64MiB\"\nlane_memory = 1_000_000\n",
        );
        assert_eq!(problems, []);
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line))
            .collect();
        assert_eq!(
            found,
            [
                ("workers", "4", 2),
                ("log_level", "debug", 3),
                ("tcp_nodelay", "false", 5),
                ("backlog", "16", 6),
                ("package_eof", "\\r\\n", 7),
                ("memory_budget", "64MiB", 8),
                ("lane_memory", "1000000", 9),
            ]
        );
    }

    #[test]
    fn options_file_has_a_table_for_each_port() {
        let (entries, problems) = read(
            "workers = 4\n[port.admin]\nlisten = \"h:1\"\nframing = \"line\"\n\n\
             [port.b]\nlisten = \"h:2\"\n",
        );
        assert_eq!(problems, []);
        let found: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect();
        let wanted = [
            ("workers", 1),
            ("port.admin.listen", 3),
            ("port.admin.framing", 4),
            ("port.b.listen", 7),
        ];
        assert_eq!(found, wanted);
        for (text, line) in [
            ("port = 80\n", 1),
            ("[port.a.b]\nc = 1\n", 1),
            ("[[port]]\nlisten = \"h:1\"\n", 1),
            ("[ports.a]\nlisten = \"h:1\"\n", 1),
        ] {
            let (entries, problems) = read(text);
            assert_eq!((entries.len(), problems.len(), problems[0].line), (0, 1, line), "{text}");
            assert!(problems[0].text.contains("[port.NAME]"), "{}", problems[0].text);
        }
    }

    #[test]
    fn options_file_says_on_which_line_it_is_wrong() {
        let (entries, problems) = read("workers = 4\n[server]\nreactors = 1\n");
        assert_eq!(entries.len(), 1);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].line, 2);
        assert!(problems[0].text.contains("`server` is a table"), "{}", problems[0].text);
        let (entries, problems) = read("workers = 4\nreactors =\n");
        assert_eq!(entries, []);
        assert_eq!(problems[0].line, 2);
        assert!(problems[0].text.starts_with("not TOML: "), "{}", problems[0].text);
        assert_eq!(read("a = [1]\nb = 2020-01-01\n").1.len(), 2);
        assert_eq!(read(""), (vec![], vec![]));
    }

    #[test]
    fn options_file_says_that_words_need_quotes() {
        for (line, wanted) in [
            ("send_timeout = 10s", "write `send_timeout = \"10s\"`"),
            ("memory_budget = 64MiB # enough", "write `memory_budget = \"64MiB\"`"),
            ("listen=127.0.0.1:9501", "write `listen = \"127.0.0.1:9501\"`"),
            ("log_file = /var/log/it.log", "write `log_file = \"/var/log/it.log\"`"),
            ("log_level = debug", "write `log_level = \"debug\"`"),
            ("tcp_nodelay = yes", "write `tcp_nodelay = \"yes\"`"),
            ("package_eof = \\r\\n", "write `package_eof = \"\\\\r\\\\n\"`"),
        ] {
            let (entries, problems) = read(&format!("workers = 4\n{line}\nreactors = 1\n"));
            assert_eq!(entries, [], "{line}");
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].line, 2);
            assert!(problems[0].text.contains(wanted), "{}", problems[0].text);
        }
        let (_, problems) = read("log_level = \"debug\n");
        assert!(!problems[0].text.contains("need quotes"), "{problems:?}");
    }

    #[test]
    fn options_file_twice_the_same_name_is_an_error() {
        let (_, problems) = read("workers = 4\nworkers = 5\n");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].line, 2);
    }
}
