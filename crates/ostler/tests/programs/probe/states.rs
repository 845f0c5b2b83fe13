//! Commands about long states, which are numbered: each is made of its number, so that it shows
//! whether it is whole.

use ostler::Session;

use crate::Probe;
use crate::words::{Call, outcome, wait_for_file};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(_: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    match word {
        "bump" => bump(call),
        "own" => call.say(described(call.session)),
        "peek" => {
            let session = call.worker.session(call.arguments.number());
            call.say(described(&session));
        }
        "put" => {
            let session = call.worker.session(call.arguments.number());
            let state = numbered(call.arguments.number(), call.arguments.size());
            call.say(outcome(session.set_state(&state)));
        }
        // All of these sessions get one of so many bytes, numbered from 0.
        "putall" => {
            let len = call.arguments.size();
            let ids = call.arguments.0.split(' ').flat_map(str::parse).collect();
            put_all(call, ids, len);
        }
        // The same, of so many sessions from this one on.
        "putfrom" => {
            let (len, first) = (call.arguments.size(), call.arguments.number());
            let ids = (first..first + call.arguments.number()).collect();
            put_all(call, ids, len);
        }
        _ => return false,
    }
    true
}

fn put_all(call: &Call<'_>, ids: Vec<u64>, len: usize) {
    let put = ids
        .into_iter()
        .zip(0..)
        .map(|(id, number)| outcome(call.worker.session(id).set_state(&numbered(number, len))));
    let kept = put.filter(|outcome| *outcome == "ok").count();
    call.say(format!("ok {kept}"));
}

/// `bump LENGTH before|behind [FILE MADE]`: the state with the next number is set before or behind
/// the reply, which is that number; then a file is made, and the other one waited for.
fn bump(call: &mut Call<'_>) {
    let len = call.arguments.size();
    let is_before = call.arguments.word() == "before";
    let Some(number) = number_of(&call.session.state()) else { return call.say("broken") };
    let state = numbered(number + 1, len);
    let said = |result| match outcome(result) {
        "ok" => (number + 1).to_string(),
        other => other.to_owned(),
    };
    if is_before {
        call.say(said(call.session.set_state(&state)));
    } else {
        call.say(said(Ok(())));
        let _ = call.session.set_state(&state);
    }
    let file = call.arguments.word();
    if !file.is_empty() {
        let _ = std::fs::write(call.arguments.word(), "");
        wait_for_file(file);
    }
}

/// A state of so many bytes, at least those of its number.
fn numbered(number: u64, len: usize) -> Vec<u8> {
    let rest = (8..len).map(|index| (number as usize + index % 251) as u8);
    number.to_le_bytes().into_iter().chain(rest).collect()
}

/// The number of a state, 0 without one; `None` when it is not whole.
fn number_of(state: &[u8]) -> Option<u64> {
    let Some(number) = state.first_chunk().copied().map(u64::from_le_bytes) else {
        return state.is_empty().then_some(0);
    };
    (state == numbered(number, state.len())).then_some(number)
}

fn described(session: &Session) -> String {
    let state = session.state();
    number_of(&state).map_or("broken".to_owned(), |number| format!("{number} {}", state.len()))
}
