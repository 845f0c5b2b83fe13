//! Commands about the flow of a session's input and output: what holds it and who is told.

use ostler::Session;

use crate::Probe;
use crate::words::{Call, outcome};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(_probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    marks(call, word)
}

fn marks(call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session) = (call.worker, call.session);
    let rest = &mut call.arguments;
    let result = match word {
        "pause" => session.pause(),
        "resume" => session.resume(),
        "protect" => session.protect(rest.word() == "on"),
        "pauseof" => worker.session(rest.number()).pause(),
        "resumeof" => worker.session(rest.number()).resume(),
        "marks" => {
            call.say(shown(session));
            return true;
        }
        "marksof" => {
            let session = worker.session(rest.number());
            call.say(shown(&session));
            return true;
        }
        _ => return false,
    };
    call.say(outcome(result));
    true
}

fn shown(session: &Session) -> String {
    let Some(info) = session.info() else { return "gone".to_owned() };
    let paused = if info.is_paused { "paused" } else { "read" };
    let protected = if info.is_protected { "protected" } else { "mortal" };
    format!("{paused} {protected}")
}
