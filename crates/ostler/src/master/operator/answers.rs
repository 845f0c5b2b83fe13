//! What operators are answered: a line of JSON each, `{"ok":true,"result":…}`, or
//! `{"error":"…","ok":false}`.

use ostler_core::ids::{ProcessKind, Slot};
use ostler_core::messages::MessageEnd;
use ostler_core::messages::form::{REPLY_FRONT_BYTES, ReplyStatus, read_reply};
use ostler_core::supervisor::ReloadOutcome;
use serde_json::{Value, json};

use super::conversation::LINE_BYTES_MAX;
use super::request::REQUESTS;

/// The longest result of a command, bytes: it is made into a line while everything else waits.
const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// It was done, or is known.
pub(super) fn done(result: impl Into<Value>) -> String {
    json!({ "ok": true, "result": result.into() }).to_string()
}

/// It was not.
pub(super) fn refused(why: &str) -> String {
    json!({ "ok": false, "error": why }).to_string()
}

pub(super) fn help() -> String {
    let requests = REQUESTS.iter().map(|(name, what)| ((*name).to_owned(), json!(what)));
    done(Value::Object(requests.collect()))
}

pub(super) fn too_long() -> String {
    refused(&format!("a line has {LINE_BYTES_MAX} bytes at most, its end included"))
}

/// With the end of its line: nobody else writes it.
pub(super) fn too_many() -> String {
    let why = "as many operators as there can be wait for answers: come again later";
    format!("{}\n", refused(why))
}

pub(super) fn too_late() -> String {
    refused("the command was called, and its process has not answered in time")
}

/// How a reload of the processes of a kind has ended.
pub(super) fn of_reload(
    kind: ProcessKind,
    outcome: ReloadOutcome,
    why: &str,
    slots: &[(Slot, bool)],
) -> String {
    let letter = kind.letter();
    let slots = slots.iter().map(|(slot, is_new)| (format!("{letter}{slot}"), json!(is_new)));
    let slots: Value = Value::Object(slots.collect());
    let failed = |text: &str| json!({ "ok": false, "error": text, "is_new": slots }).to_string();
    match outcome {
        ReloadOutcome::Done => done(json!({ "is_new": slots })),
        ReloadOutcome::NothingToReload => refused(match kind {
            ProcessKind::Task => "there are no task workers (task_workers)",
            ProcessKind::User => "this program has no user processes",
            ProcessKind::Event | ProcessKind::Companion => "there is nothing to reload",
        }),
        ReloadOutcome::ShuttingDown => refused("the server ends"),
        ReloadOutcome::CanaryFailed(slot) => failed(&format!(
            "nothing has changed: the first new worker, {letter}{slot}, did not start: {why}"
        )),
        ReloadOutcome::Partial(slot) if kind == ProcessKind::User => failed(&format!(
            "the new process {letter}{slot} did not start, and is tried again: {why}"
        )),
        ReloadOutcome::Partial(slot) => failed(&format!(
            "the reload has stopped: the new worker {letter}{slot} did not start: {why}"
        )),
    }
}

/// What a command has returned: text, or bytes in hexadecimal digits.
pub(super) fn of_call(answer: Result<Vec<u8>, MessageEnd>) -> String {
    let message = match answer {
        Ok(message) => message,
        Err(MessageEnd::NotRunning) => return refused("no process runs in that slot"),
        Err(MessageEnd::Full) => return refused("too much waits for that process already"),
        Err(MessageEnd::NoMemory) => return refused("the memory budget has no room for it"),
        Err(MessageEnd::ReceiverEnded) => {
            return refused("its process ended before it had answered");
        }
    };
    let bytes = message.get(REPLY_FRONT_BYTES..).unwrap_or_default();
    if bytes.len() > RESULT_BYTES_MAX {
        let len = bytes.len();
        return refused(&format!(
            "it has answered with {len} bytes: an operator is told {RESULT_BYTES_MAX} at most"
        ));
    }
    match read_reply(&message).map(|(status, _)| status) {
        Some(ReplyStatus::Done) => match std::str::from_utf8(bytes) {
            Ok(text) => done(text),
            Err(_) => done(json!({ "hex": hexadecimal(bytes) })),
        },
        Some(ReplyStatus::NoSuchCommand) => refused("that process has no such command"),
        Some(ReplyStatus::Failed) | None => refused(&String::from_utf8_lossy(bytes)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.extend(DIGITS.get(usize::from(half)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::messages::form::reply_front;

    const EVENT: ProcessKind = ProcessKind::Event;

    fn reply(status: ReplyStatus, bytes: &[u8]) -> String {
        of_call(Ok([&reply_front(status, 3)[..], bytes].concat()))
    }

    #[test]
    fn what_a_command_returns_is_text_or_digits() {
        assert_eq!(reply(ReplyStatus::Done, b"\"1\"\n"), r#"{"ok":true,"result":"\"1\"\n"}"#);
        assert_eq!(reply(ReplyStatus::Done, &[0xff, 1]), r#"{"ok":true,"result":{"hex":"ff01"}}"#);
        assert_eq!(reply(ReplyStatus::Failed, b"why"), r#"{"error":"why","ok":false}"#);
        assert!(reply(ReplyStatus::NoSuchCommand, b"").contains("no such command"));
        let all: Vec<u8> = (128..=255).collect();
        let digits: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(reply(ReplyStatus::Done, &all).contains(&digits));
        assert!(MessageEnd::ALL.map(|end| of_call(Err(end))).iter().all(|it| it.contains("false")));
    }

    #[test]
    fn a_result_that_is_too_long_is_refused_in_words() {
        let longest = vec![b'x'; RESULT_BYTES_MAX];
        assert!(reply(ReplyStatus::Done, &longest).starts_with(r#"{"ok":true"#));
        for status in [ReplyStatus::Done, ReplyStatus::Failed] {
            let refused = reply(status, &[&longest[..], b"\xff"].concat());
            assert!(refused.contains("1048577 bytes") && refused.len() < 200, "{refused}");
        }
    }

    #[test]
    fn a_reload_tells_what_is_new() {
        let slots = [(Slot(0), true), (Slot(1), false)];
        let stopped = of_reload(EVENT, ReloadOutcome::Partial(Slot(1)), "it ended", &slots);
        let read: Value = serde_json::from_str(&stopped).unwrap();
        assert_eq!((&read["ok"], &read["is_new"]["w0"]), (&json!(false), &json!(true)));
        assert_eq!(read["is_new"]["w1"], json!(false));
        assert!(read["error"].as_str().unwrap().ends_with("did not start: it ended"));
        let done = of_reload(EVENT, ReloadOutcome::Done, "", &slots[..1]);
        assert_eq!(done, r#"{"ok":true,"result":{"is_new":{"w0":true}}}"#);
        let done = of_reload(ProcessKind::Task, ReloadOutcome::Done, "", &slots[..1]);
        assert_eq!(done, r#"{"ok":true,"result":{"is_new":{"t0":true}}}"#);
        for kind in ProcessKind::ALL {
            let refused = of_reload(kind, ReloadOutcome::NothingToReload, "", &[]);
            assert!(refused.contains(r#""ok":false"#), "{refused}");
        }
    }
}
