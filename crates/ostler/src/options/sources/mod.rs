//! Where options come from besides the program: a file, the environment, the command line.
//!
//! Everything here is pure: text in, assignments and problems out. [`crate::ServerBuilder`] reads
//! the file, the environment and the arguments.

pub(crate) mod command_line;
mod environment;
mod file;
pub(crate) mod layers;
pub(crate) mod show;

use super::shown;
use layers::{Layer, Layers};

impl Layers {
    /// Takes the options of a TOML file that was read from `name`.
    pub(crate) fn say_file(&mut self, name: &str, text: &str) {
        let (entries, problems) = file::read(text);
        for file::Entry { key, value, line } in entries {
            self.say(Layer::File, &key, &value, &format!("{name}, line {line}"));
        }
        for file::FileProblem { line, text } in problems {
            self.object(format!("{name}, line {line}: {text}"));
        }
    }

    /// Takes the options among environment variables: those that begin with `prefix`.
    pub(crate) fn say_environment(
        &mut self,
        prefix: &str,
        variables: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) {
        let (found, problems) = environment::options(prefix, variables);
        for environment::Variable { variable, name, value } in found {
            self.say(
                Layer::Environment,
                &name,
                &value,
                &format!("environment variable {}", shown(&variable)),
            );
        }
        problems.into_iter().for_each(|problem| self.object(problem));
    }
}
