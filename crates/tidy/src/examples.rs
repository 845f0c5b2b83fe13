//! Every public item of the crate `ostler` shows how it is used: an example that the documentation
//! tests compile.

use crate::Finding;
use crate::files::File;

/// Where public items are made; the rest of the crate is its own business.
const PLACES: [&str; 5] = [
    "crates/ostler/src/api/",
    "crates/ostler/src/shared/",
    "crates/ostler/src/test/",
    "crates/ostler/src/options/",
    "crates/ostler/src/error.rs",
];
/// What an item is called; fields and variants are part of theirs.
const ITEMS: [&str; 6] = ["fn", "struct", "enum", "trait", "type", "const"];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    if !PLACES.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    // Whether the comment above, with attributes below it, has an example.
    let mut is_shown = false;
    for (number, line) in file.lines() {
        let line = line.trim();
        if line == "#[cfg(test)]" {
            break;
        }
        if let Some(comment) = line.strip_prefix("///") {
            is_shown |= comment.trim().starts_with("```");
            continue;
        }
        if let Some(item) = public_item(line)
            && !is_shown
        {
            let text = format!("`{item}` is public and has no example");
            let file = file.path.clone();
            findings.push(Finding { file, rule: "example", line: number, text });
        }
        is_shown &= line.starts_with("#[");
    }
    findings
}

/// The name of the public item that begins on this line.
fn public_item(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?;
    let rest = rest.strip_prefix("const fn ").map_or(rest, |_| &rest["const ".len()..]);
    let (kind, rest) = rest.split_once(' ')?;
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name = rest.split(|c: char| !is_name(c)).next()?;
    (ITEMS.contains(&kind) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_without_an_example_are_found() {
        let text = "/// One.\n///\n/// ```\n/// one();\n/// ```\n#[must_use]\n\
                    pub const fn one() {}\n\
                    /// Two.\npub fn two() {}\n\
                    /// Three.\npub struct Three {\n    /// A field.\n    pub four: u8,\n}\n\
                    pub(crate) fn five() {}\n#[cfg(test)]\nmod tests {\n    pub fn six() {}\n}\n";
        let found = |path| {
            let findings = check(&File::new(path, text)).into_iter();
            findings.map(|finding| finding.line).collect::<Vec<_>>()
        };
        assert_eq!(found("crates/ostler/src/api/a.rs"), [9, 11]);
        assert_eq!(found("crates/ostler/src/reactor/a.rs"), []);
    }
}
