//! Where the values of options come from, and whose word counts.
//!
//! One order for all programs, whatever the order of the calls: a later [`Layer`] replaces what an earlier one said, and
//! within a layer the last word counts. A value that is replaced must be valid all the same: who reads the file would
//! otherwise take it for one that works.

use super::{Options, table};
use crate::error::{Error, Result};

/// Who says what an option shall be, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// The program itself.
    Program,
}

/// One value that somebody gave to an option.
#[derive(Clone, Debug)]
struct Assignment {
    layer: Layer,
    name: String,
    value: String,
    /// Where it stands, for people: `server.toml, line 3`. Empty for the program itself.
    origin: String,
}

/// What was said about options, not yet checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    base: Options,
    assignments: Vec<Assignment>,
    problems: Vec<String>,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) options: Options,
}

impl Layers {
    /// Everything not said otherwise is as in `options`.
    pub(crate) fn start_with(&mut self, options: Options) {
        self.base = options;
    }

    /// Notes a value.
    pub(crate) fn say(&mut self, layer: Layer, name: &str, value: &str, origin: &str) {
        self.assignments.push(Assignment {
            layer,
            name: name.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        });
    }

    /// Notes something that is wrong before there is a value.
    pub(crate) fn object(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Puts everything together and checks it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in one text.
    pub(crate) fn resolve(&self) -> Result<Resolved> {
        let mut options = self.base.clone();
        let mut problems = self.problems.clone();
        let mut refused = Vec::new();
        let mut in_order: Vec<&Assignment> = self.assignments.iter().collect();
        in_order.sort_by_key(|assignment| assignment.layer);
        for assignment in in_order {
            let Assignment { name, value, origin, .. } = assignment;
            match options.set(name, value) {
                Ok(()) => {}
                Err(error) => {
                    problems.push(located(origin, &error.to_string()));
                    refused.extend(table::find(name).map(|info| info.name));
                }
            }
        }
        // What an option contradicts is unknown as long as its own value is.
        let is_known = |name: &&str| !refused.contains(name);
        let contradictions = options.contradictions().into_iter();
        let contradictions = contradictions.filter(|found| found.names.iter().all(is_known));
        problems.extend(contradictions.map(|found| found.text));
        if problems.is_empty() { Ok(Resolved { options }) } else { Err(Error::options(&problems)) }
    }
}

fn located(origin: &str, problem: &str) -> String {
    if origin.is_empty() { problem.to_owned() } else { format!("{origin}: {problem}") }
}
