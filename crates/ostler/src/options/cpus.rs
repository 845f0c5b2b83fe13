//! Processors, as an option names them: `all`, or `0-3,6`.

use super::info::Kind;
use super::setting::{Problem, Setting};

/// On which processors processes run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cpus {
    /// Those on which the server may run.
    All,
    /// These, in ascending order, at least one.
    These(Vec<u16>),
}

/// The word for [`Cpus::All`].
const ALL: &str = "all";
/// The highest number that the kernel's ordinary sets of processors have room for.
const CPU_MAX: u16 = 1_023;

impl Setting for Cpus {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        if text == ALL {
            return Ok(Self::All);
        }
        let mut found = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (number(first), number(last)) else {
                return Err(format!("write `{ALL}`, or numbers from 0 to {CPU_MAX} as in `0-3,6`"));
            };
            if first > last {
                return Err(format!("`{part}` ends before it begins: write `{last}-{first}`"));
            }
            found.extend(first..=last);
        }
        found.sort_unstable();
        found.dedup();
        Ok(Self::These(found))
    }

    fn render(&self) -> String {
        match self {
            Self::All => ALL.to_owned(),
            Self::These(numbers) => Self::spell(numbers),
        }
    }
}

impl Cpus {
    /// Numbers in ascending order, as the option has them.
    pub(crate) fn spell(numbers: &[u16]) -> String {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for &number in numbers {
            match ranges.last_mut() {
                Some((_, last)) if number == last.saturating_add(1) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        let texts = ranges.into_iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        texts.collect::<Vec<_>>().join(",")
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|number| *number <= CPU_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_numbers_and_ranges() {
        for (text, rendered) in [
            ("all", "all"),
            ("0-3,6", "0-3,6"),
            ("6,2,0,1", "0-2,6"),
            ("5,5", "5"),
            ("1023", "1023"),
        ] {
            let cpus = Cpus::parse(Kind::Cpus, text).unwrap();
            assert_eq!(cpus.render(), rendered);
            assert_eq!(Cpus::parse(Kind::Cpus, rendered), Ok(cpus));
        }
    }

    #[test]
    fn what_is_no_processor_is_refused() {
        for (text, words) in [
            ("", "write `all`"),
            ("1024", "from 0 to 1023"),
            ("0-", "write `all`"),
            ("-1", "write `all`"),
            ("a", "write `all`"),
            ("3-1", "write `1-3`"),
        ] {
            let problem = Cpus::parse(Kind::Cpus, text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
