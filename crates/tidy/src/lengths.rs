//! Lines, functions and files that fit a screen and a head.

use crate::Finding;
use crate::files::File;

const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

pub(crate) fn check(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut report = |rule, line, text| {
        findings.push(Finding { file: file.path.clone(), rule, line, text });
    };
    for (number, line) in file.lines() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            report("columns", number, format!("{columns} columns; break it at {COLUMNS_MAX}"));
        }
    }
    for (number, length) in functions(&file.text) {
        if length > FUNCTION_LINES_MAX {
            let text = format!("a function of {length} lines; {FUNCTION_LINES_MAX} fit a screen");
            report("function", number, text);
        }
    }
    let lines = file.lines().count();
    if lines > FILE_LINES_MAX {
        report("file", 0, format!("{lines} lines; split it by topic below {FILE_LINES_MAX}"));
    }
    findings
}

/// The functions of a file as rustfmt leaves them: first line and number of lines. The closing
/// brace stands alone, as far in as the line that `fn` is on.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if !begins_function(line) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = lines.iter().skip(index).position(|later| {
            let bare = later.trim_start();
            later.len() - bare.len() == indent && (bare == "}" || ends_at_once(bare))
        });
        if let Some(length) = end {
            found.push((index + 1, length + 1));
        }
    }
    found
}

fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let qualifies = word.starts_with("pub")
            || word.starts_with("in ")
            || ["const", "async", "unsafe", "extern", "\"C\""].contains(&word);
        if word == "fn" {
            return words.peek().is_some();
        }
        if !qualifies {
            return false;
        }
    }
    false
}

/// A function on one line, or one without a body, as far in as its own end.
fn ends_at_once(bare: &str) -> bool {
    begins_function(bare) && (bare.ends_with('}') || bare.ends_with(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<(&'static str, usize)> {
        let found = check(&File::new("x.rs", text));
        found.into_iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn a_long_line_is_found_by_its_characters() {
        let umlauts = "ü".repeat(100);
        assert_eq!(rules(&umlauts), []);
        assert_eq!(rules(&format!("\n{umlauts}u")), [("columns", 2)]);
    }

    #[test]
    fn a_long_function_is_found_wherever_it_stands() {
        let body = "        work();\n".repeat(69);
        assert_eq!(rules(&format!("impl X {{\n    fn f() {{\n{}    }}\n}}\n", &body[16..])), []);
        let long = format!("impl X {{\n    pub(crate) fn f(\n    ) {{\n{body}    }}\n}}\n");
        assert_eq!(rules(&long), [("function", 2)]);
    }

    #[test]
    fn functions_without_a_body_of_their_own_do_not_swallow_the_next() {
        let text = "trait X {\n    fn a();\n    fn b() {}\n    fn c() {\n    }\n}\n";
        assert_eq!(functions(text), [(2, 1), (3, 1), (4, 2)]);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(rules(&"\n".repeat(500)), []);
        assert_eq!(rules(&"\n".repeat(501)), [("file", 0)]);
    }
}
