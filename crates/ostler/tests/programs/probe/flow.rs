//! Commands about the flow of a session's input and output: what holds it and who is told.

use ostler::{Outcome, Session, Writer};

use crate::Probe;
use crate::words::{Call, outcome, pattern};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(_probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    marks(call, word) || streams(call, word)
}

fn streams(call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session) = (call.worker, call.session);
    let rest = &mut call.arguments;
    match word {
        // So many bytes of the pattern, then an end; `streamto` another session.
        "stream" | "streamto" => {
            let other = (word == "streamto").then(|| worker.session(rest.number()));
            let total = rest.size();
            match other.as_ref().unwrap_or(session).writer() {
                Ok(writer) => drop(go_on(0, total, writer)),
                Err(error) => call.say(outcome(Err(error))),
            }
        }
        // The same to this session and to another one, and a token that answers at last.
        "streamboth" => {
            let other = worker.session(rest.number());
            let mut token = call.package.defer();
            for (to, total) in [(session, rest.size()), (&other, rest.size())] {
                if let Ok(writer) = to.writer() {
                    drop(go_on(0, total, writer));
                }
            }
            if let Some(token) = token.as_mut() {
                let _ = token.send(b"token\n");
            }
        }
        // So many bytes, and never an end.
        "cut" => {
            let bytes = pattern(rest.size());
            if let Ok(mut writer) = session.writer() {
                let _ = writer.write(&bytes);
            }
        }
        // What is sent while a message is open.
        "between" => {
            if let Ok(mut writer) = session.writer() {
                let _ = writer.write(b"one ");
                let sent = outcome(session.send(b"behind\n"));
                let mut second = session.writer();
                let room = second.as_mut().map_or(u64::MAX as usize, |second| {
                    second.write(b"never").unwrap_or(usize::MAX)
                });
                let _ = writer.write(format!("{sent} {room}\n").as_bytes());
                let _ = writer.finish();
            }
        }
        _ => return false,
    }
    true
}

/// Writes bytes `at..total` of the pattern, as fast as the client reads.
fn go_on(mut at: usize, total: usize, mut writer: Writer) -> Outcome {
    // As long as the period of the pattern, so many times.
    let bytes = pattern(251 * 400);
    while at < total {
        let from = at % 251;
        let len = (bytes.len() - from).min(total - at);
        match writer.write(bytes.get(from..from + len).unwrap_or_default())? {
            0 => {
                writer.on_writable(move |_: &mut Probe, _, writer| go_on(at, total, writer));
                return Ok(());
            }
            taken => at += taken,
        }
    }
    Ok(writer.finish()?)
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
        // A writer that writes nothing.
        "writerof" => {
            let writer = worker.session(rest.number()).writer();
            call.say(writer.map_or_else(|error| error.to_string(), |_| "ok".to_owned()));
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
