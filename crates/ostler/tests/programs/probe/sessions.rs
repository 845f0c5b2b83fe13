//! Commands about sessions: their ends, their states and what is known of them.

use std::time::Duration;

use ostler::{ClientCertificate, Session, SessionInfo, TlsInfo};

use crate::Probe;
use crate::words::{Call, outcome, pattern, wait_for_file};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    ends(probe, call, word) || knows(call, word)
}

/// A line about what a client has shown: the sizes of its certificates, and whose they are, behind
/// the rest.
pub(crate) fn describe(session: u64, tls: &TlsInfo) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let protocol = tls.protocol().map_or_else(|| "-".to_owned(), text);
    let resumed = if tls.is_resumed() { "resumed" } else { "full" };
    let whose = |one: &ClientCertificate| {
        let subject = one.subject().unwrap_or_else(|| "?".to_owned());
        format!(" {} {subject} ({:?})", one.der().len(), one.common_name())
    };
    format!(
        "tls {session} {:?} {} {protocol} {} {resumed}{}",
        tls.version(),
        tls.cipher_suite(),
        tls.server_name().unwrap_or("-"),
        tls.client_certificates().iter().map(whose).collect::<String>()
    )
}

fn ends(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session) = (call.worker, call.session);
    let rest = &mut call.arguments;
    match word {
        "close" => {
            call.say("bye");
            let _ = session.close();
        }
        "closebig" => {
            let _ = session.send(&pattern(rest.size()));
            let _ = session.close();
        }
        "reset" => drop(session.reset()),
        "farewell" => farewell(probe, call),
        // Closes, and goes on until the file is there.
        "closeuntil" => {
            let _ = session.close();
            wait_for_file(rest.word());
        }
        "closeof" => {
            let result = worker.session(rest.number()).close();
            call.say(outcome(result));
        }
        "closeonly" => drop(worker.session(rest.number()).close()),
        "resetof" => {
            let result = worker.session(rest.number()).reset();
            call.say(outcome(result));
        }
        _ => return false,
    }
    true
}

fn knows(call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session) = (call.worker, call.session);
    let rest = &mut call.arguments;
    let text = |state: &[u8]| String::from_utf8_lossy(state).into_owned();
    match word {
        "tls" => call.say(if session.tls().is_some() { "some" } else { "none" }),
        "state" => call.say(outcome(session.set_state(call.arguments.rest().as_bytes()))),
        "statebig" => {
            let result = session.set_state(&pattern(rest.size()));
            call.say(outcome(result));
        }
        "rw" => {
            let _ = session.set_state(rest.rest().as_bytes());
            call.say(text(&session.state()));
        }
        "get" => call.say(text(&session.state())),
        "getof" => {
            let state = worker.session(rest.number()).state();
            call.say(text(&state));
        }
        "confirmof" => {
            let result = worker.session(rest.number()).confirm();
            call.say(outcome(result));
        }
        "bind" => {
            let result = session.bind(rest.number() as u32);
            call.say(outcome(result));
        }
        "user" => call.say(session.user().map_or("none".to_owned(), |user| user.to_string())),
        "longstates" => {
            let it = worker.stats().traffic;
            call.say(format!("{} {} {}", it.long_states, it.state_bytes, it.states_refused));
        }
        "id" => call.say(session.id().to_string()),
        "info" => match session.info() {
            Some(info) => call.say(format!("{} {} {}", info.id, info.peer, info.is_full)),
            None => call.say("none"),
        },
        "reactor" => match session.info() {
            Some(info) => call.say(info.reactor.to_string()),
            None => call.say("none"),
        },
        "port" => match session.port() {
            Some(port) => {
                call.say(format!("{} {} {}", port.id(), port.name(), port.local_address()))
            }
            None => call.say("none"),
        },
        "portof" => {
            let port = worker.session(rest.number()).port();
            call.say(if port.is_some() { "some" } else { "none" });
        }
        "infoof" => {
            let info = worker.session(rest.number()).info();
            call.say(if info.is_some() { "some" } else { "none" });
        }
        "trafficof" => {
            let info = worker.session(rest.number()).info();
            call.say(info.map_or("none".to_owned(), |info| traffic(&info)));
        }
        "sessions" => {
            let mut ids: Vec<u64> = worker.sessions().iter().map(Session::id).collect();
            ids.sort_unstable();
            let words: Vec<String> = ids.iter().map(u64::to_string).collect();
            call.say(words.join(" "));
        }
        _ => return false,
    }
    true
}

/// Bytes received, sent, unsent and not given; then how long after the session's beginning
/// something of it was received, given and sent last, in nanoseconds.
fn traffic(info: &SessionInfo) -> String {
    let at = |ago: Option<Duration>| {
        let at = ago.map(|ago| info.connected_for.saturating_sub(ago).as_nanos());
        at.map_or("-".to_owned(), |at| at.to_string())
    };
    let bytes = [info.received_bytes, info.sent_bytes, info.unsent_bytes, info.ungiven_bytes];
    let bytes = bytes.map(|bytes| bytes.to_string()).join(" ");
    let times = [info.received_ago, info.given_ago, info.sent_ago].map(at).join(" ");
    format!("{bytes} {times}")
}

/// Fills the lane when the file is there, ends its session, tries to go on and notes what came of
/// it all: `farewell close|reset|token FILE`.
fn farewell(probe: &Probe, call: &mut Call<'_>) {
    let (worker, session, package) = (call.worker, call.session, call.package);
    let how = call.arguments.word();
    wait_for_file(call.arguments.word());
    let filled = loop {
        match outcome(session.send(&pattern(20))) {
            "ok" => {}
            other => break other,
        }
    };
    // Those are as small as a close.
    while session.set_state(b"").is_ok() {}
    probe.note(worker, format!("filled {filled}"));
    let ended = match how {
        "close" => session.close(),
        "reset" => session.reset(),
        _ => package.defer().map_or(Ok(()), |mut token| token.close()),
    };
    let later = [session.send(b"late"), session.set_state(b"late"), session.close()];
    let later = later.map(|result| result.err().and_then(|error| error.gone_because()));
    let later = later.map(|why| why.unwrap_or("-")).join(" ");
    probe.note(worker, format!("ended {} {later}", outcome(ended)));
}
