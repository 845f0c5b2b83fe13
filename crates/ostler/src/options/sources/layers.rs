//! Where the values of options come from, and whose word counts.
//!
//! One order for all programs, whatever the order of the calls: a later [`Layer`] replaces what an
//! earlier one said, and within a layer the last word counts. A value that is replaced must be
//! valid all the same: who reads the file would otherwise take it for one that works.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::options::{Options, table};

/// Who says what an option shall be, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// The program itself.
    Program,
    /// A file of options.
    File,
    /// Environment variables.
    Environment,
    /// The command line.
    CommandLine,
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
    /// Where the value of an option stands that is not the default.
    origins: BTreeMap<String, String>,
}

impl Resolved {
    /// Where the value of this option comes from; `None` for a default.
    pub(crate) fn origin_of(&self, name: &str) -> Option<&str> {
        self.origins.get(name).map(String::as_str)
    }
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
        let mut origins = BTreeMap::new();
        let mut in_order: Vec<&Assignment> = self.assignments.iter().collect();
        in_order.sort_by_key(|assignment| assignment.layer);
        for assignment in in_order {
            let Assignment { name, value, origin, .. } = assignment;
            let option = name.rsplit_once('.').map_or(name.as_str(), |(_, option)| option);
            let known = table::find(option).map(|info| info.name);
            match options.set(name, value) {
                Ok(()) => {
                    let origin = if origin.is_empty() { "the program" } else { origin };
                    origins.insert(name.clone(), origin.to_owned());
                }
                Err(error) => {
                    problems.push(located(origin, &error.to_string()));
                    refused.extend(known);
                }
            }
        }
        // What an option contradicts is unknown as long as its own value is.
        let is_known = |name: &&str| !refused.contains(name);
        let contradictions = options.contradictions().into_iter();
        let contradictions = contradictions.filter(|found| found.names.iter().all(is_known));
        problems.extend(contradictions.map(|found| found.text));
        if problems.is_empty() {
            Ok(Resolved { options, origins })
        } else {
            Err(Error::options(&problems))
        }
    }
}

fn located(origin: &str, problem: &str) -> String {
    if origin.is_empty() { problem.to_owned() } else { format!("{origin}: {problem}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_stronger_layer_count_whatever_the_order_of_the_calls() {
        use Layer::{CommandLine, Environment, File, Program};
        let mut layers = Layers::default();
        for (layer, value) in
            [(CommandLine, "4"), (Program, "1"), (Environment, "3"), (File, "2"), (Program, "9")]
        {
            layers.say(layer, "workers", value, &format!("{layer:?}"));
            let resolved = layers.resolve().unwrap();
            assert_eq!(resolved.options.get("workers").as_deref(), Some("4"));
            assert_eq!(resolved.origin_of("workers"), Some("CommandLine"));
        }
        layers.say(CommandLine, "workers", "5", "later");
        let resolved = layers.resolve().unwrap();
        assert_eq!(resolved.options.get("workers").as_deref(), Some("5"), "the last word");
        assert_eq!(resolved.origin_of("reactors"), None);
    }

    #[test]
    fn options_that_are_wrong_are_told_with_their_place_even_if_replaced() {
        let mut layers = Layers::default();
        layers.say_file("a.toml", "workers = 0\n\nworker = 1\n");
        layers.say(Layer::CommandLine, "workers", "4", "command line");
        let text = layers.resolve().unwrap_err().to_string();
        assert!(text.contains("a.toml, line 1: option `workers` cannot be `0`"), "{text}");
        assert!(
            text.contains("a.toml, line 3: there is no option `worker`: did you mean `workers`?"),
            "{text}"
        );
    }

    #[test]
    fn options_whose_own_value_is_unknown_contradict_nothing() {
        let mut layers = Layers::default();
        layers.say(Layer::Program, "send_queue_high", "much", "");
        layers.say(Layer::Program, "send_queue_low", "1M", "");
        let text = layers.resolve().unwrap_err().to_string();
        assert!(!text.contains("must not be above"), "{text}");
    }
}
