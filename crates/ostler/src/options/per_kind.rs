//! Options that may have another value for each kind of process: `5`, or `event:0 task:10`.

use ostler_core::ids::ProcessKind;

use super::amount::Measure;
use super::choices::none_of;
use super::info::Kind;
use super::setting::{Problem, Setting, in_range};

/// Which processes a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// All that run code of the program, if nothing else is said of their kind.
    All,
    Of(ProcessKind),
    /// Master, manager and spare manager.
    Master,
}

/// Their words. `master` is the last, because not every option has it.
const WORDS: &[(&str, Whom)] = &[
    ("event", Whom::Of(ProcessKind::Event)),
    ("task", Whom::Of(ProcessKind::Task)),
    ("user", Whom::Of(ProcessKind::User)),
    ("companion", Whom::Of(ProcessKind::Companion)),
    ("master", Whom::Master),
];
const NAMES: &[&str] = &["event", "task", "user", "companion"];
const NAMES_AND_MASTER: &[&str] = &["event", "task", "user", "companion", "master"];

/// What is said of kinds of process, in its order; of some nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PerKind<T>(Vec<(Whom, T)>);

// Derived, it would hold only for a `T` that has a default.
impl<T> Default for PerKind<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> PerKind<T> {
    fn find(&self, whom: Whom) -> Option<&T> {
        self.0.iter().find(|(said, _)| *said == whom).map(|(_, value)| value)
    }

    /// What processes of this kind are to have.
    pub(crate) fn of(&self, kind: ProcessKind) -> Option<&T> {
        self.find(Whom::Of(kind)).or_else(|| self.find(Whom::All))
    }

    /// Whether something is said of this kind by its name.
    pub(crate) fn names(&self, kind: ProcessKind) -> bool {
        self.find(Whom::Of(kind)).is_some()
    }

    /// What master, manager and spare manager are to have.
    pub(crate) fn of_master(&self) -> Option<&T> {
        self.find(Whom::Master)
    }

    /// All values that are said.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<T: Setting> Setting for PerKind<T> {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        let Kind::PerKind { of, has_master } = kind else {
            return Err("the table says no kinds of process; this is a bug in Ostler".to_owned());
        };
        let names = if has_master { NAMES_AND_MASTER } else { NAMES };
        let mut said = Vec::new();
        for entry in text.split_ascii_whitespace() {
            let (whom, value) = match entry.split_once(':') {
                None => (Whom::All, entry),
                Some((name, value)) => {
                    let known = WORDS.iter().find(|(word, _)| *word == name);
                    let known = known.filter(|(word, _)| names.contains(word));
                    (known.ok_or_else(|| none_of(names, name))?.1, value)
                }
            };
            if said.iter().any(|(other, _)| *other == whom) {
                return Err(format!("`{entry}` says a second time what was said before"));
            }
            said.push((whom, T::parse(*of, value)?));
        }
        Ok(Self(said))
    }

    fn render(&self) -> String {
        let entries = self.0.iter().map(|(whom, value)| {
            let value = value.render();
            match WORDS.iter().find(|(_, known)| known == whom) {
                Some((word, _)) => format!("{word}:{value}"),
                None => value,
            }
        });
        entries.collect::<Vec<_>>().join(" ")
    }
}

/// Numbers that may be below zero.
impl Setting for i32 {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        let Kind::Signed { min, max } = kind else {
            return Err(
                "the table gives this option no numbers; this is a bug in Ostler".to_owned()
            );
        };
        let number: Self = text.parse().map_err(|_| format!("it is {min} to {max}"))?;
        match number.clamp(min, max) {
            nearest if nearest == number => Ok(number),
            nearest => Err(format!("it is {min} to {max}; the nearest valid value is {nearest}")),
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

/// A limit of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// As much as the server itself may have (its hard limit).
    Most,
    /// So much.
    At(u64),
}

/// The word for [`Limit::Most`].
const MOST: &str = "max";

impl Setting for Limit {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        let number = match kind {
            _ if text == MOST => return Ok(Self::Most),
            Kind::Integer { min, max } => in_range(Measure::Count, text, min, max),
            Kind::Bytes { min, max } => in_range(Measure::Bytes, text, min, max),
            _ => Err("the table gives this option no limits; this is a bug in Ostler".to_owned()),
        };
        number.map(Self::At).map_err(|problem| format!("{problem}, or `{MOST}`"))
    }

    fn render(&self) -> String {
        match self {
            Self::Most => MOST.to_owned(),
            Self::At(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NICE: Kind = Kind::PerKind { of: &Kind::Signed { min: -20, max: 19 }, has_master: false };
    const OOM: Kind =
        Kind::PerKind { of: &Kind::Signed { min: -1_000, max: 1_000 }, has_master: true };

    #[test]
    fn a_kind_has_what_is_said_of_it_and_else_what_is_said_of_all() {
        let nice = PerKind::<i32>::parse(NICE, " 3 task:10 ").unwrap();
        assert_eq!(
            (nice.of(ProcessKind::Event), nice.of(ProcessKind::Task)),
            (Some(&3), Some(&10))
        );
        assert!(nice.names(ProcessKind::Task) && !nice.names(ProcessKind::Event));
        assert_eq!(nice.render(), "3 task:10");
        let oom = PerKind::<i32>::parse(OOM, "master:-500 user:7").unwrap();
        assert_eq!((oom.of_master(), oom.of(ProcessKind::User)), (Some(&-500), Some(&7)));
        assert_eq!(oom.of(ProcessKind::Event), None);
        assert_eq!(PerKind::<i32>::parse(OOM, &oom.render()), Ok(oom));
        // The master runs no code of the program.
        assert_eq!(PerKind::<i32>::parse(OOM, "9").unwrap().of_master(), None);
        assert_eq!(PerKind::<i32>::parse(NICE, ""), Ok(PerKind::default()));
    }

    #[test]
    fn what_no_kind_can_have_is_refused() {
        for (text, words) in [
            ("tsk:1", "did you mean `task`"),
            ("master:1", "it is one of `event`, `task`, `user`, `companion`"),
            ("1 2", "a second time"),
            ("task:1 task:1", "a second time"),
            ("task:20", "nearest valid value is 19"),
            ("-21", "nearest valid value is -20"),
            ("task:", "it is -20 to 19"),
            ("much", "it is -20 to 19"),
        ] {
            let problem = PerKind::<i32>::parse(NICE, text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_the_most_that_there_is() {
        let bytes = Kind::Bytes { min: 0, max: 1 << 44 };
        assert_eq!(Limit::parse(bytes, "64M"), Ok(Limit::At(64 << 20)));
        assert_eq!(Limit::parse(bytes, "max"), Ok(Limit::Most));
        let count = Kind::Integer { min: 64, max: 1_000 };
        let problem = Limit::parse(count, "63").unwrap_err();
        assert!(problem.ends_with("nearest valid value is 64, or `max`"), "{problem}");
        for limit in [Limit::Most, Limit::At(77)] {
            assert_eq!(Limit::parse(count, &limit.render()), Ok(limit));
        }
    }
}
