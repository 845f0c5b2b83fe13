//! Commands that send files.

use std::io::ErrorKind;
use std::thread;

use ostler::SendError;

use crate::Probe;
use crate::words::{Call, outcome, wait_for_file};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(_: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session, package) = (call.worker, call.session, call.package);
    let rest = &mut call.arguments;
    match word {
        // `file PATH OFFSET LENGTH`, without a length to the end.
        "file" => {
            let path = rest.word();
            let (offset, length) = (rest.number(), rest.word().parse::<u64>().ok());
            if let Err(error) = session.sendfile(path, offset, length) {
                call.say(what_is_wrong(error));
            }
        }
        // Between two lines.
        "framed" => {
            let path = rest.word();
            let (offset, length) = (rest.number(), rest.number());
            call.say("begin");
            let sent = session.sendfile(path, offset, length);
            call.say(format!("end {}", sent.map_or_else(what_is_wrong, |()| "ok")));
        }
        // `files PATH COUNT LENGTH`
        "files" => {
            let path = rest.word();
            let (count, length) = (rest.number(), rest.number());
            let sent = (0..count).map(|_| outcome(session.sendfile(path, 0, length)));
            let (ok, other): (Vec<_>, Vec<_>) = sent.partition(|outcome| *outcome == "ok");
            let other = other.first().copied().unwrap_or("-");
            call.say(format!("sent {} {other}", ok.len()));
        }
        "fileto" => {
            let to = worker.session(rest.number());
            let sent = to.sendfile(rest.word(), 0, None);
            call.say(outcome(sent));
        }
        "fileclose" => {
            let _ = session.sendfile(rest.word(), 0, None);
            let _ = session.close();
        }
        // Sends first, then waits: what is held back shows.
        "fileuntil" => {
            let (gate, path) = (rest.word(), rest.word());
            let _ = session.sendfile(path, 0, None);
            wait_for_file(gate);
            call.say("end");
        }
        // From another thread.
        "filedefer" => {
            let path = rest.word().to_owned();
            if let Some(mut deferred) = package.defer() {
                thread::spawn(move || {
                    let sent = deferred.sendfile(&path, 0, None);
                    let _ = deferred.send(format!("deferred {}\n", outcome(sent)).as_bytes());
                });
            }
        }
        // Beside a stream, which is finished behind it.
        "filestream" => {
            if let Ok(mut writer) = session.writer() {
                let _ = writer.write(b"stream ");
                let sent = session.sendfile(rest.word(), 0, None);
                call.say(format!("behind {}", outcome(sent)));
                let _ = writer.write(b"ends ");
                let _ = writer.finish();
            }
        }
        _ => return false,
    }
    true
}

/// What is wrong with a file, in one word.
fn what_is_wrong(error: SendError) -> &'static str {
    match error.file_error() {
        Some(ErrorKind::NotFound) => "not_found",
        Some(ErrorKind::PermissionDenied) => "denied",
        Some(ErrorKind::UnexpectedEof) => "too_short",
        Some(ErrorKind::InvalidInput) => "no_file",
        Some(ErrorKind::Unsupported) => "answered",
        Some(_) => "other",
        None => outcome(Err(error)),
    }
}
