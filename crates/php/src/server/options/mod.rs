//! The options that a program sets, translated into the engine's.

mod combined;
pub(crate) mod table;

use ext_php_rs::types::ZendHashTable;
use ostler::Options;

use super::state::Mode;
use crate::zend::value::Scalar;
use combined::Settings;
use table::Form;

use crate::zend::value::key_text;

/// An option that cannot be what it was set to.
pub(crate) struct Problem {
    pub(crate) text: String,
}

impl Problem {
    fn fatal(text: String) -> Self {
        Self { text }
    }
}

/// Options of the engine, by name, in the order in which they were said.
#[derive(Default)]
pub(crate) struct Engine(Vec<(String, String)>);

impl Engine {
    fn say(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    /// What an option of the server was set to last.
    pub(crate) fn said(&self, wanted: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(name, _)| name == wanted);
        last.map(|(_, value)| value.as_str())
    }

    /// Those that each port has for itself, or the others.
    pub(crate) fn options(&self, of_ports: bool) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| is_of_port(name) == of_ports)
    }
}

fn is_of_port(name: &str) -> bool {
    Options::table().iter().any(|info| info.name == name && info.is_of_port())
}

/// Whether the engine has an option of this name.
pub(crate) fn is_engines(name: &str) -> bool {
    Options::table().iter().any(|info| info.name == name)
}

/// What the engine is to be told for what a program has set.
pub(crate) fn translate(settings: &ZendHashTable, mode: Mode) -> Result<Engine, Problem> {
    let mut engine = Engine::default();
    combined::translate(&Settings(settings), mode, &mut engine)?;
    for (key, value) in settings {
        let Some(name) = key_text(&key) else { continue };
        if value.is_null() {
            continue;
        }
        match table::find(&name) {
            Some(form) => one(form, &name, &Scalar(value), &mut engine)?,
            None if is_engines(&name) => {
                let Some(text) = Scalar(value).text() else {
                    return Err(Problem::fatal(format!("the option {name} must be a scalar")));
                };
                engine.say(&name, text);
            }
            None => {}
        }
    }
    Ok(engine)
}

/// What a program is told that expects its tasks to outlive the server in a queue of System V.
pub(crate) fn unkept_queue(settings: &ZendHashTable) -> Option<&'static str> {
    let number = |name| settings.get(name).map_or(0, |value| Scalar(value).long());
    let is_wanted = number("message_queue_key") != 0 && matches!(number("task_ipc_mode"), 2 | 3);
    let text = "the option [message_queue_key] has no effect: tasks wait in the master and not in \
                a queue of System V; name a file in the option [task_journal] if they shall \
                outlive the server";
    (is_wanted && settings.get("task_journal").is_none()).then_some(text)
}

/// The same for a port with settings of its own: of the server's only the heartbeat counts there.
pub(crate) fn of_port(
    own: &ZendHashTable,
    server: &ZendHashTable,
    mode: Mode,
) -> Result<Engine, Problem> {
    let mut engine = translate(own, mode)?;
    combined::inherit_heartbeat(&Settings(own), &Settings(server), &mut engine);
    Ok(engine)
}

fn one(form: Form, name: &str, value: &Scalar<'_>, engine: &mut Engine) -> Result<(), Problem> {
    match form {
        Form::Count(option, least, most) => {
            let number = value.long();
            if number > 0 {
                engine.say(option, number.clamp(least, most));
            }
        }
        Form::Number(option, least, most) => engine.say(option, value.long().clamp(least, most)),
        Form::Flag(option) => engine.say(option, value.is_true()),
        Form::Size(option, least, most) => {
            let Some(size) = value.size() else {
                return Err(Problem::fatal(format!("the size of {name} is malformed")));
            };
            if size > 0 {
                engine.say(option, size.clamp(least, most));
            }
        }
        Form::Seconds(option, most) => {
            // What is no number is none of them, and what is too large is the largest.
            let milliseconds = (value.float() * 1_000.0).ceil() as i64;
            if milliseconds > 0 {
                engine.say(option, milliseconds.min(most));
            }
        }
        Form::Text(option) => engine.say(option, value.text().unwrap_or_default()),
        Form::Combined | Form::NoEffect | Form::Missing => {}
    }
    Ok(())
}
