//! Nothing names a directory of the machine that somebody happened to work on.

use crate::Finding;
use crate::files::File;

/// Written in two parts, or this file would break its own rule.
const PLACES: [(&str, &str); 4] = [("/ho", "me/"), ("/ro", "ot/"), ("/wo", "rk/"), ("/Us", "ers/")];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let places: Vec<String> = PLACES.iter().map(|(start, rest)| format!("{start}{rest}")).collect();
    let breaches = file.lines().filter_map(|(line, text)| {
        let place = places.iter().find(|place| names(text, place))?;
        Some((line, format!("`{place}` exists on one machine only")))
    });
    breaches
        .map(|(line, text)| Finding { file: file.path.clone(), rule: "machine", line, text })
        .collect()
}

/// Whether the place stands at the beginning of a path.
fn names(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || "}/.-_".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_a_machine_is_found_and_a_part_of_a_path_is_not() {
        let place = format!("see {}me/ada/x", "/ho");
        assert_eq!(check(&File::new("a.md", &format!("\n{place}"))).len(), 1);
        let inside = format!("https://example.org{}me/x and ../a{}rk/b", "/ho", "/wo");
        assert_eq!(check(&File::new("a.md", &inside)), []);
    }
}
