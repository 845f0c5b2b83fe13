//! Commands that send: to their own session, to another one, to all.

use std::time::Duration;

use crate::Probe;
use crate::words::{Call, checksum, flood, outcome, pattern, wait_for_file};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session, package) = (call.worker, call.session, call.package);
    let rest = &mut call.arguments;
    match word {
        "echo" => call.say(call.arguments.rest()),
        "ref" => drop(session.send(package)),
        // The package so many times.
        "refs" => {
            let count = rest.size();
            let sent = (0..count).filter(|_| session.send(package).is_ok()).count();
            call.say(format!("sent {sent}"));
        }
        "sum" => call.say(format!("sum {} {}", package.len(), checksum(package))),
        "redelivered" => call.say(package.is_redelivered().to_string()),
        "big" => {
            let result = session.send(&pattern(rest.size()));
            if result.is_err() {
                call.say(outcome(result));
            }
        }
        "bigs" => big_in_pieces(call),
        "send" => {
            let to = worker.session(rest.number());
            let result = to.send(format!("{}\n", rest.rest()).as_bytes());
            call.say(outcome(result));
        }
        "flood" => {
            let to = worker.session(rest.number());
            let (count, size) = (rest.number(), rest.size());
            call.say(flood(&[to], count, size));
        }
        "broadcast" => {
            let mut others = worker.sessions();
            others.retain(|other| other.id() != session.id());
            let (count, size) = (rest.number(), rest.size());
            call.say(flood(&others, count, size));
        }
        // Waits for the file, floods its own session and notes what came of it.
        "stalled" => {
            wait_for_file(rest.word());
            let (count, size) = (rest.number(), rest.size());
            let result = flood(std::slice::from_ref(session), count, size);
            probe.note(worker, format!("flooded {result}"));
        }
        // Sends first, then waits: what is held back shows.
        "senduntil" => {
            let (path, size) = (rest.word(), rest.size());
            let _ = session.send(&pattern(size));
            wait_for_file(path);
            call.say("end");
        }
        _ => return false,
    }
    true
}

fn big_in_pieces(call: &mut Call<'_>) {
    let bytes = pattern(call.arguments.size());
    for piece in bytes.chunks(call.arguments.size().max(1)) {
        // A client that reads may be slower than this loop.
        while call.session.send(piece).is_err_and(|error| error.is_full()) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
