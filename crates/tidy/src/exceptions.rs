//! The list of files that may break a rule for the time being, each with a number and a reason.

use std::collections::BTreeMap;

use crate::Finding;

/// Where the list is, from the root.
pub(crate) const LIST: &str = "crates/tidy/exceptions.txt";

struct Exception<'a> {
    rule: &'a str,
    file: &'a str,
    breaches: usize,
    line: usize,
}

/// Takes away what the list excuses, and adds what is wrong with the list.
///
/// # Errors
/// When a line of the list is not `rule file number reason`.
pub(crate) fn apply(list: &str, findings: Vec<Finding>) -> Result<Vec<Finding>, String> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in &findings {
        *counts.entry((finding.rule, &finding.file)).or_default() += 1;
    }
    let exceptions = parse(list)?;
    let mut wrong = Vec::new();
    for Exception { rule, file, breaches, line } in &exceptions {
        let found = counts.get(&(*rule, *file)).copied().unwrap_or(0);
        let text = match found {
            0 => format!("{file} keeps `{rule}` now: take this line away"),
            found if found < *breaches => {
                format!("{file} breaks `{rule}` {found} times: lower the number to that")
            }
            _ => continue,
        };
        wrong.push(Finding { file: LIST.to_owned(), rule: "exception", line: *line, text });
    }
    let excused = |finding: &Finding| {
        exceptions.iter().any(|exception| {
            let found = counts.get(&(exception.rule, exception.file)).copied().unwrap_or(0);
            exception.rule == finding.rule
                && exception.file == finding.file
                && found <= exception.breaches
        })
    };
    let mut left: Vec<Finding> = findings.iter().filter(|one| !excused(one)).cloned().collect();
    left.extend(wrong);
    Ok(left)
}

fn parse(list: &str) -> Result<Vec<Exception<'_>>, String> {
    let mut exceptions = Vec::new();
    for (index, text) in list.lines().enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let mut words = text.split_whitespace();
        let (rule, file, number) = (words.next(), words.next(), words.next());
        let reason = words.next();
        let breaches = number.and_then(|number| number.parse().ok());
        let (Some(rule), Some(file), Some(breaches), Some(_)) = (rule, file, breaches, reason)
        else {
            return Err(format!("{LIST}:{}: not `rule file number reason`", index + 1));
        };
        exceptions.push(Exception { rule, file, breaches, line: index + 1 });
    }
    Ok(exceptions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(number: usize) -> Vec<Finding> {
        let one =
            |line| Finding { file: "a.rs".into(), rule: "columns", line, text: "long".into() };
        (1..=number).map(one).collect()
    }

    #[test]
    fn what_stands_in_the_list_is_excused_and_one_more_is_not() {
        assert_eq!(apply("columns a.rs 2 old text", breaches(2)), Ok(vec![]));
        assert_eq!(apply("columns a.rs 2 old text", breaches(3)), Ok(breaches(3)));
        assert_eq!(apply("columns b.rs 2 old text\n", vec![]).unwrap().len(), 1);
        assert_eq!(apply("file a.rs 2 old text", breaches(1)).unwrap().len(), 2);
    }

    #[test]
    fn the_list_only_shrinks() {
        let text =
            |found| apply("columns a.rs 3 old text", breaches(found)).unwrap()[0].text.clone();
        assert!(text(2).contains("lower the number"));
        assert!(text(0).contains("take this line away"));
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert!(apply("columns a.rs 3", vec![]).unwrap_err().contains(":1:"));
        assert!(apply("# a remark\n\ncolumns a.rs many reasons", vec![]).is_err());
    }
}
