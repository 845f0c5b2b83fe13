//! Any text where options are expected: it is understood, and then printed so that it is understood
//! again in the same way, or it is refused in words that stay on their lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::Options;
use super::sources::command_line::{self, Argument};
use super::sources::layers::{Layer, Layers};
use super::sources::show;

/// A file of options.
pub(crate) fn file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut layers = Layers::default();
    layers.say_file("server.toml", text);
    check(&layers);
}

/// Variables of the environment and arguments, each with a zero byte behind it: one that begins
/// with `OSTLER_` is a variable, every other one an argument.
pub(crate) fn words(input: &[u8]) {
    let mut layers = Layers::default();
    let (mut variables, mut arguments) = (Vec::new(), Vec::new());
    for word in input.split(|byte| *byte == 0) {
        let Some(at) = word.iter().position(|byte| *byte == b'=') else {
            arguments.push(OsString::from_vec(word.to_vec()));
            continue;
        };
        let (name, value) = word.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        if word.starts_with(b"OSTLER_") {
            let [name, value] = [name, value].map(|part| OsString::from_vec(part.to_vec()));
            variables.push((name, value));
        } else {
            arguments.push(OsString::from_vec(word.to_vec()));
        }
    }
    layers.say_environment("OSTLER_", variables.into_iter());
    for argument in command_line::read(arguments.into_iter()) {
        match argument {
            Argument::Option { name, value } => {
                layers.say(Layer::CommandLine, &name, &value, "command line");
            }
            Argument::Other(other) => stays_on_its_line(&command_line::unknown(&other)),
            Argument::Wrong(problem) => layers.object(problem),
            Argument::File(_) | Argument::Question(_) => {}
        }
    }
    check(&layers);
}

fn check(layers: &Layers) {
    match layers.resolve() {
        Ok(resolved) => {
            let text = show::as_toml(&resolved);
            let mut again = Layers::default();
            again.say_file("printed", &text);
            let again = again.resolve().map(|again| again.options);
            assert!(again.is_ok(), "{again:?} of what was printed: {text}");
            let Ok(again) = again else { return };
            assert_eq!(ports(&again), ports(&resolved.options), "{text}");
            spells_itself(&resolved.options);
        }
        Err(error) => error.to_string().lines().for_each(stays_on_its_line),
    }
}

/// What each port has, by its name.
fn ports(options: &Options) -> Vec<(String, String)> {
    let ports = options.ports();
    ports.iter().map(|plan| (plan.name.to_owned(), format!("{:?}", plan.options))).collect()
}

/// Options that are set as they are spelled are the same, wherever their spelling has to pass.
fn spells_itself(options: &Options) {
    let spelled = options.spelled();
    let mut again = Options::default();
    for (name, value) in &spelled {
        assert!(!value.contains('\0'), "{name} cannot be handed to a worker: {value:?}");
        let set = again.set(name, value);
        assert!(set.is_ok(), "{name} is not understood as it is spelled: {set:?}");
    }
    assert_eq!(again.spelled(), spelled);
}

fn stays_on_its_line(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    // Others can be told by whoever reads it, and it cannot be endless.
    assert!(text.len() < 16 * 1024, "{} bytes: {text:?}", text.len());
}
