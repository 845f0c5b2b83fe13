//! What text cites is in the repository: a reader must be able to open it.
//!
//! * `S12`, `P7`: a row of `docs/requirements.md`
//! * `decision 8`: a file of `docs/decisions`, which its README lists
//! * `§7`: a section of `docs/lane-protocol.md`; `T3` in a comment: a step of it
//! * links in Markdown, and paths in backquotes: a file or directory
//! * a path with a name behind it, `file.rs::name`: a function of that file

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Finding;
use crate::files::File;

const REQUIREMENTS: &str = "docs/requirements.md";
const DECISIONS: &str = "docs/decisions/";
const PROTOCOL: &str = "docs/lane-protocol.md";

/// The directories that paths in backquotes begin with.
const TREES: [&str; 6] = ["docs/", "crates/", "bench/", "examples/", "fuzz/", ".config/"];

/// The beginnings of citations of what nobody can open.
const ELSEWHERE: [&str; 4] = ["architecture section", "seed row", "seed setting", "Seed row"];

/// All that can be cited by number.
struct Targets {
    rows: BTreeSet<String>,
    decisions: BTreeSet<String>,
    sections: BTreeSet<String>,
    steps: BTreeSet<String>,
}

pub(crate) fn check(root: &Path, files: &[File]) -> Vec<Finding> {
    let targets = Targets::of(files);
    let mut findings = decisions_listed(files);
    let known: BTreeMap<&str, &str> =
        files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let exists = |path: &str| match path.split_once("::") {
        Some((path, name)) => known.get(path).is_some_and(|text| has_function(text, name)),
        // What is not text, and directories, are only on the disk.
        None => known.contains_key(path) || root.join(path).exists(),
    };
    for file in files {
        for (line, text) in file.lines() {
            let mut missing = targets.missing(text, is_prose(file, text));
            missing.extend(missing_paths(&exists, file, text));
            findings.extend(missing.into_iter().map(|what| {
                let text = format!("{what} is cited, but is not in the repository");
                Finding { file: file.path.clone(), rule: "reference", line, text }
            }));
        }
    }
    findings
}

impl Targets {
    fn of(files: &[File]) -> Self {
        let lines = |path: &'static str| {
            files.iter().filter(move |file| file.path == path).flat_map(|file| file.text.lines())
        };
        let rows = lines(REQUIREMENTS).filter_map(|line| {
            let cell = line.strip_prefix("| ")?.split(' ').next()?;
            is_row(cell).then(|| cell.to_owned())
        });
        let decisions = files.iter().filter_map(|file| {
            let name = file.path.strip_prefix(DECISIONS)?;
            let number = name.split('-').next()?.trim_start_matches('0');
            number.parse::<u32>().is_ok().then(|| number.to_owned())
        });
        let sections = lines(PROTOCOL)
            .filter_map(|line| Some(line.strip_prefix("## ")?.split_once(". ")?.0.to_owned()));
        let steps = lines(PROTOCOL)
            .filter_map(|line| Some(line.split_once(". (")?.1.split_once(')')?.0.to_owned()));
        Self {
            rows: rows.collect(),
            decisions: decisions.collect(),
            sections: sections.collect(),
            steps: steps.collect(),
        }
    }

    /// What a line cites and nothing has.
    fn missing(&self, line: &str, prose: bool) -> Vec<String> {
        let elsewhere = ELSEWHERE.iter().filter(|words| prose && line.contains(**words));
        let mut missing: Vec<String> = elsewhere.map(|words| format!("`{words}`")).collect();
        let words = words(line);
        for (index, word) in words.iter().enumerate() {
            let next = words.get(index + 1).copied().unwrap_or("");
            if is_row(word) && !self.rows.contains(*word) {
                missing.push(format!("row {word} ({REQUIREMENTS})"));
            }
            let number = next.chars().all(|letter| letter.is_ascii_digit()) && !next.is_empty();
            let decision = ["decision", "Decision"].contains(word) && number;
            if decision && !self.decisions.contains(next) {
                missing.push(format!("decision {next} ({DECISIONS})"));
            }
            if prose && is_step(word) && !self.steps.contains(*word) {
                missing.push(format!("step {word} ({PROTOCOL})"));
            }
        }
        for (at, sign) in line.match_indices('§') {
            let rest = line.get(at + sign.len()..).unwrap_or("").trim_start();
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if !number.is_empty() && !self.sections.contains(&number) {
                missing.push(format!("section {number} ({PROTOCOL})"));
            }
        }
        missing
    }
}

/// Whether a line is text for readers: all of a document, the comments of code.
fn is_prose(file: &File, line: &str) -> bool {
    !file.is_rust() || line.trim_start().starts_with("//")
}

fn words(line: &str) -> Vec<&str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
        .collect()
}

/// An S or a P with one or two digits.
fn is_row(word: &str) -> bool {
    numbered(word, &['S', 'P'])
}

fn is_step(word: &str) -> bool {
    numbered(word, &['T']) && word.len() == 2
}

fn numbered(word: &str, letters: &[char]) -> bool {
    word.strip_prefix(letters).is_some_and(|number| {
        (1..=2).contains(&number.len()) && number.chars().all(|letter| letter.is_ascii_digit())
    })
}

fn has_function(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with(&format!("fn {name}(")))
}

/// Links of Markdown and paths in backquotes that lead nowhere.
fn missing_paths(exists: &impl Fn(&str) -> bool, file: &File, line: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let directory =
        file.path.rsplit_once('/').map_or(String::new(), |(start, _)| format!("{start}/"));
    if file.path.ends_with(".md") {
        let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = link.split('#').next().unwrap_or(link);
            if !exists(&format!("{directory}{target}")) {
                missing.push(format!("`{target}`"));
            }
        }
    }
    if is_prose(file, line) {
        for quoted in line.split('`').skip(1).step_by(2) {
            let path = TREES.iter().any(|tree| quoted.starts_with(tree));
            let plain = !quoted.contains(['*', ' ', '<', '{', '$', '|', '…']);
            if path && plain && !exists(quoted) {
                missing.push(format!("`{quoted}`"));
            }
        }
    }
    missing
}

/// The list of decisions has each file, by its name.
fn decisions_listed(files: &[File]) -> Vec<Finding> {
    let index = format!("{DECISIONS}README.md");
    let list = files.iter().find(|file| file.path == index).map_or("", |file| &file.text);
    let names = files.iter().filter_map(|file| file.path.strip_prefix(DECISIONS));
    names
        .filter(|name| *name != "README.md" && !list.contains(&format!("]({name})")))
        .map(|name| Finding {
            file: index.clone(),
            rule: "reference",
            line: 0,
            text: format!("{name} is not in the list"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = [
            File::new(REQUIREMENTS, "| S1 | first | met |\n| P72 | last | met |\n"),
            File::new("docs/decisions/08-bells.md", ""),
            File::new("docs/decisions/README.md", "[8](08-bells.md)"),
            File::new(PROTOCOL, "## 7. Recall\n3. (T3) look\n"),
            File::new(path, text),
        ];
        check(root, &files).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn what_is_there_may_be_cited() {
        let text = "// S1, (P72) and decision 8, protocol §7, T3; a decision of 1990 is not\n";
        assert_eq!(texts("a.rs", text), Vec::<String>::new());
        assert_eq!(texts("a.rs", "struct A<T7>(T7);"), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_may_not() {
        assert!(texts("a.rs", "x // S2")[0].contains("row S2"));
        assert!(texts("a.md", "see P9")[0].contains("row P9"));
        assert!(texts("a.rs", "// decision 9")[0].contains("decision 9"));
        assert!(texts("a.rs", "// protocol §8")[0].contains("section 8"));
        assert!(texts("a.rs", "// as T4 says")[0].contains("step T4"));
        assert!(texts("a.rs", &format!("// {} 7", ELSEWHERE[0]))[0].contains(ELSEWHERE[0]));
        assert!(texts("a.md", "[it](nowhere.md)")[0].contains("nowhere.md"));
        assert!(texts("a.rs", "// see `docs/nowhere.md`")[0].contains("docs/nowhere.md"));
        assert!(texts("docs/decisions/09-more.md", "")[0].contains("not in the list"));
    }

    #[test]
    fn functions_are_cited_by_the_names_that_they_have() {
        let cite = |name| format!("fn there() {{}}\n// `crates/a.rs::{name}`\n");
        assert_eq!(texts("crates/a.rs", &cite("there")), Vec::<String>::new());
        assert!(texts("crates/a.rs", &cite("gone"))[0].contains("crates/a.rs::gone"));
        assert!(texts("a.md", "`crates/b.rs::there`")[0].contains("crates/b.rs::there"));
    }

    #[test]
    fn links_are_relative_to_their_file() {
        assert_eq!(texts("src/a.md", "[rules](lib.rs#top)"), Vec::<String>::new());
        assert_eq!(texts("a.md", "[rules](https://example.org/x)"), Vec::<String>::new());
        assert_eq!(texts("src/a.md", "[rules](src/lib.rs)").len(), 1);
    }
}
