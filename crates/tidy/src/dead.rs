//! Every file of Rust is part of a crate: one that no `mod` names is never compiled.

use std::collections::BTreeSet;

use crate::Finding;
use crate::files::File;

/// Files that cargo finds by themselves.
const ROOTS: [&str; 3] = ["lib.rs", "main.rs", "build.rs"];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let named: BTreeSet<String> = files.iter().flat_map(named_by).collect();
    let alone = files.iter().filter(|file| file.is_rust() && !is_root(&file.path));
    alone
        .filter(|file| !named.contains(&file.path))
        .map(|file| Finding {
            file: file.path.clone(),
            rule: "dead",
            line: 0,
            text: "no `mod` names it, so it is never compiled".to_owned(),
        })
        .collect()
}

/// Whether cargo takes the file for a crate: a target of its own.
fn is_root(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let (name, parent) = (parts.next().unwrap_or(path), parts.next().unwrap_or(""));
    let target = ["tests", "examples", "benches", "bin", "fuzz_targets", "programs"];
    ROOTS.contains(&name)
        || (target.contains(&parent) && !path.contains("/src/") || parent == "bin")
}

/// The files that the `mod` lines of a file name, whether they exist or not.
fn named_by(file: &File) -> Vec<String> {
    let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let stem = name.trim_end_matches(".rs");
    let own = format!("{directory}/{stem}");
    let base = if is_root(&file.path) || stem == "mod" { directory } else { &own };
    let mut found = Vec::new();
    let mut path_attribute = None;
    for (_, line) in file.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path_attribute = rest.split('"').next();
            continue;
        }
        let module = line.rsplit_once("mod ").and_then(|(_, rest)| rest.strip_suffix(';'));
        if let Some(module) = module {
            match path_attribute.take() {
                Some(path) => found.push(resolved(&format!("{directory}/{path}"))),
                None => {
                    found.push(format!("{base}/{module}.rs"));
                    found.push(format!("{base}/{module}/mod.rs"));
                }
            }
        }
    }
    found
}

/// A path without its `..`.
fn resolved(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nobody_names_is_found() {
        let files = [
            File::new("a/src/lib.rs", "pub(crate) mod one;\nmod two;\n"),
            File::new("a/src/one.rs", "#[cfg(test)]\nmod tests;\n"),
            File::new("a/src/one/tests.rs", ""),
            File::new("a/src/two/mod.rs", "#[path = \"../two/odd.rs\"]\nmod three;\n"),
            File::new("a/src/two/odd.rs", ""),
            File::new("a/src/left.rs", ""),
            File::new("a/tests/all.rs", "mod support;\n"),
            File::new("a/tests/support/mod.rs", ""),
        ];
        let found: Vec<String> = check(&files).into_iter().map(|finding| finding.file).collect();
        assert_eq!(found, ["a/src/left.rs"]);
    }
}
