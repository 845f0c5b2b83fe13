//! Rules of the house that neither the compiler nor clippy knows, checked over all files of the
//! repository.
//!
//! | rule | demand |
//! |---|---|
//! | `columns` | no line of Rust is longer than 100 characters |
//! | `function` | no function is longer than 70 lines |
//! | `file` | no file of Rust is longer than 500 lines, tests included |
//! | `reference` | what text cites is here: rows, decisions, sections, links, files |
//! | `machine` | nothing names a directory of the machine that somebody works on |
//! | `layer` | modules use only what lies below them |
//! | `example` | every public item of the crate `ostler` has an example |
//! | `signal` | the engine sends signals through pidfds, never to a number |
//! | `option` | each option of the extension for PHP has a test of its effect, or none |
//! | `dead` | every file of Rust is part of a crate |
//!
//! `make tidy` runs them. A file may break a rule when it stands in `exceptions.txt`, with the
//! number of breaches and the reason. That list only shrinks: a breach more is an error, and so
//! is a number that is higher than what is found.

mod dead;
mod examples;
mod exceptions;
mod files;
mod layers;
mod lengths;
mod machine;
mod php_options;
mod references;
mod signals;

use std::fmt;
use std::io;
use std::path::Path;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root of the repository.
    pub file: String,
    /// The name of the rule.
    pub rule: &'static str,
    /// The line, counted from one; zero when the whole file is meant.
    pub line: usize,
    /// What is wrong, and what to do about it.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, rule, line, text } = self;
        if *line == 0 {
            return write!(f, "{file}: [{rule}] {text}");
        }
        write!(f, "{file}:{line}: [{rule}] {text}")
    }
}

/// Checks the repository at `root` and returns what is not excused.
///
/// # Errors
/// When a file cannot be read, or the list of exceptions cannot be understood.
pub fn check(root: &Path) -> io::Result<Vec<Finding>> {
    let files = files::read_all(root)?;
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(lengths::check(file));
        findings.extend(machine::check(file));
        findings.extend(layers::check(file));
        findings.extend(examples::check(file));
        findings.extend(signals::check(file));
    }
    findings.extend(references::check(root, &files));
    findings.extend(php_options::check(root, &files));
    findings.extend(dead::check(&files));
    findings.sort();
    let list = std::fs::read_to_string(root.join(exceptions::LIST))?;
    exceptions::apply(&list, findings).map_err(io::Error::other)
}
