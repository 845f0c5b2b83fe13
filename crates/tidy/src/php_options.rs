//! What the extension for PHP accepts has an effect, and a test that fails when it is ignored: the
//! page of its options names one for each.

use std::fs;
use std::path::Path;

use crate::Finding;
use crate::files::File;

const TABLE: &str = "crates/php/src/server/options/table.rs";
const PAGE: &str = "docs/php/OPTIONS.md";
const TESTS: &str = "crates/php/tests/";

pub(crate) fn check(root: &Path, files: &[File]) -> Vec<Finding> {
    let text = |path| files.iter().find(|file| file.path == path).map_or("", |file| &file.text);
    let test = |path: &str| fs::read_to_string(root.join(TESTS).join(path)).ok();
    breaches(text(TABLE), text(PAGE), test)
}

/// What is wrong with the options of a table, by the page and its tests.
fn breaches(table: &str, page: &str, test: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let found = rows(table).flat_map(|(line, name, form)| {
        let cells = cells(page, name);
        let told = told(cells.as_deref(), name, form, &test);
        told.into_iter().map(move |text| Finding {
            file: TABLE.to_owned(),
            rule: "option",
            line,
            text,
        })
    });
    found.collect()
}

/// The options of the table with their lines, their names and what each is for the engine.
fn rows(table: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    table.lines().enumerate().filter_map(|(index, line)| {
        let row = line.trim_start().strip_prefix("(\"")?;
        let (name, form) = row.split_once("\", ")?;
        Some((index + 1, name, form))
    })
}

/// What the page says of an option, and its tests.
fn cells<'a>(page: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let begin = format!("| `{name}` |");
    let row = page.lines().find(|line| line.starts_with(&begin))?;
    let rest = row.get(begin.len()..)?.trim().strip_suffix('|')?;
    let (says, tests) = rest.rsplit_once('|')?;
    let tests = tests.split('`').skip(1).step_by(2);
    Some(std::iter::once(says.trim()).chain(tests).collect())
}

/// What is wrong with one of them.
fn told(
    cells: Option<&[&str]>,
    name: &str,
    form: &str,
    test: &impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let Some((says, tests)) = cells.and_then(<[_]>::split_first) else {
        return vec![format!("`{name}` has no row with its tests in {PAGE}")];
    };
    let without = [("Missing", "**not yet**"), ("NoEffect", "no effect")];
    if without.iter().any(|(kind, words)| form.starts_with(kind) != says.starts_with(words)) {
        return vec![format!("{PAGE} says of `{name}` what its row here does not")];
    }
    let has_effect = without.iter().all(|(kind, _)| !form.starts_with(kind));
    if has_effect && tests.is_empty() {
        return vec![format!("{PAGE} names no test that fails when `{name}` is ignored")];
    }
    let is_about = |path: &str| {
        let text = test(path).unwrap_or_default();
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|it| it == name)
    };
    let without = tests.iter().filter(|path| !is_about(path));
    without.map(|path| format!("{TESTS}{path} is no test of `{name}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(form: &str, row: &str) -> Vec<String> {
        let table = format!("const ROWS = &[\n    (\"speed\", {form}),\n];\n");
        let test = |path: &str| match path {
            "good.phpt" => Some("$server->set(['speed' => 1]);".to_owned()),
            "other.phpt" => Some("$server->set(['speed_max' => 1]);".to_owned()),
            _ => None,
        };
        let found = breaches(&table, row, test);
        assert!(found.iter().all(|one| one.line == 2 && one.file == TABLE), "{found:?}");
        found.into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn an_option_with_a_test_is_fine() {
        assert_eq!(told_of("Flag(\"fast\")", "| `speed` | `fast` | `good.phpt` |"), [""; 0]);
        assert_eq!(told_of("NoEffect", "| `speed` | no effect: it is fast | |"), [""; 0]);
        assert_eq!(told_of("Missing", "| `speed` | **not yet**: a warning | |"), [""; 0]);
    }

    #[test]
    fn an_option_without_a_test_of_its_own_is_told() {
        for (form, row) in [
            ("Combined", ""),
            ("Combined", "| `speed` | `fast` |"),
            ("Combined", "| `speed` | `fast` | |"),
            ("Combined", "| `speed` | `fast` | `nowhere.phpt` |"),
            ("Combined", "| `speed` | `fast` | `good.phpt`, `other.phpt` |"),
            ("Combined", "| `speed` | no effect: it is fast | |"),
            ("NoEffect", "| `speed` | `fast` | `good.phpt` |"),
            ("Missing", "| `speed` | no effect: it is fast | |"),
        ] {
            assert_eq!(told_of(form, row).len(), 1, "{form} {row}");
        }
    }
}
