//! What an operator can ask for, a line for each request. Pure: a line is anybody's, and may be
//! anything.

use ostler_core::ids::{ProcessKey, ProcessKind, Slot};
use ostler_core::messages::ANYBODY;
use ostler_core::messages::form::{COMMAND_NAME_BYTES_MAX, is_command_name};

use crate::options::nearest_of;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request<'line> {
    Help,
    Status,
    Stats,
    Processes,
    Times,
    Check,
    /// Of the processes of this kind.
    Reload(ProcessKind),
    Succeed,
    Workers(u16),
    Reopen,
    Stop,
    Call(Call<'line>),
}

/// A call of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call<'line> {
    /// Of whoever lives there.
    pub(super) to: ProcessKey,
    pub(super) name: &'line str,
    /// What is given to it: the rest of the line.
    pub(super) bytes: &'line [u8],
}

/// All requests, as they are written, and what they do.
pub(super) const REQUESTS: [(&str, &str); 14] = [
    ("status", "who this server is, and what it is at"),
    ("stats", "the figures of the whole server"),
    ("processes", "what each process is doing and has done"),
    ("times", "how long deliveries wait and take: by port, by slot, and of tasks"),
    ("check", "whether the books balance"),
    ("reload", "new workers, one after another; answered when that is over"),
    ("reload tasks", "new task workers, and no others"),
    ("reload processes", "new user processes: each ends, and begins anew"),
    ("succeed", "a new master, which is the program on disk; answered when it has taken over"),
    ("workers N", "so many event workers, between workers_min and workers_max"),
    ("reopen", "the log file anew, after it was rotated"),
    ("stop", "the end, in order"),
    ("call SLOT NAME BYTES", "a command of the process in a slot (w0, t1, u0, c0), BYTES to it"),
    ("help", "this list"),
];

impl<'line> Request<'line> {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(line: &'line [u8]) -> Result<Self, String> {
        let (word, rest) = split_word(line);
        let word = std::str::from_utf8(word).map_err(|_| unknown(""))?;
        let plain = match word {
            "help" => Self::Help,
            "status" => Self::Status,
            "stats" => Self::Stats,
            "processes" => Self::Processes,
            "times" => Self::Times,
            "check" => Self::Check,
            "succeed" => Self::Succeed,
            "reopen" => Self::Reopen,
            "stop" => Self::Stop,
            "reload" => return reload(rest),
            "workers" => return workers(rest),
            "call" => return Ok(Self::Call(Call::parse(rest)?)),
            _ => return Err(unknown(word)),
        };
        match rest.is_empty() {
            true => Ok(plain),
            false => Err(format!("`{word}` stands alone on its line")),
        }
    }
}

impl<'line> Call<'line> {
    fn parse(rest: &'line [u8]) -> Result<Self, String> {
        let (slot, rest) = split_word(rest);
        let to = std::str::from_utf8(slot).ok().and_then(slot_of).ok_or(
            "`call` needs a slot first, as logs name it: w0 for an event worker, t0 for a task \
             worker, u0 for a user process, c0 for the companion",
        )?;
        let (name, bytes) = split_word(rest);
        let name = std::str::from_utf8(name).ok().filter(|name| is_command_name(name));
        let name = name.ok_or_else(|| {
            format!("`call` needs the name of a command, 1 to {COMMAND_NAME_BYTES_MAX} bytes")
        })?;
        Ok(Self { to, name, bytes })
    }
}

/// What a reload may be of, besides the event workers.
const RELOADED: [(&str, ProcessKind); 2] =
    [("tasks", ProcessKind::Task), ("processes", ProcessKind::User)];

fn reload<'line>(rest: &[u8]) -> Result<Request<'line>, String> {
    if rest.is_empty() {
        return Ok(Request::Reload(ProcessKind::Event));
    }
    let word = std::str::from_utf8(rest).unwrap_or_default();
    if let Some((_, kind)) = RELOADED.into_iter().find(|(name, _)| *name == word) {
        return Ok(Request::Reload(kind));
    }
    let text = "`reload` stands alone on its line, or before `tasks` or `processes`";
    Err(match nearest_of(word, RELOADED.into_iter().map(|(name, _)| name)) {
        Some(near) => format!("{text}: did you mean `reload {near}`?"),
        None => text.to_owned(),
    })
}

fn workers<'line>(rest: &[u8]) -> Result<Request<'line>, String> {
    let number = std::str::from_utf8(rest).ok().and_then(|rest| rest.parse().ok());
    let number = number.filter(|number| *number > 0);
    number.map(Request::Workers).ok_or_else(|| "`workers` needs a number of 1 or more".to_owned())
}

/// The first word, and what stands behind the space that follows it.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(end) => line
            .split_at_checked(end)
            .map_or((line, &[]), |(word, rest)| (word, rest.get(1..).unwrap_or_default())),
        None => (line, &[]),
    }
}

/// The slot of this name; `None`: none has it.
fn slot_of(name: &str) -> Option<ProcessKey> {
    let mut letters = name.chars();
    let letter = letters.next()?;
    let kind = ProcessKind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
    // What `parse` takes besides digits is a sign.
    let slot = Some(letters.as_str()).filter(|rest| !rest.starts_with('+'))?.parse().ok()?;
    Some(ProcessKey { kind, slot: Slot(slot), generation: ANYBODY })
}

fn unknown(word: &str) -> String {
    let words = REQUESTS.map(|(written, _)| split_word(written.as_bytes()).0);
    let words = words.into_iter().filter_map(|word| std::str::from_utf8(word).ok());
    match nearest_of(word, words) {
        Some(near) => format!("there is no such request: did you mean `{near}`?"),
        None => "there is no such request: `help` lists them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_request_of_the_list_is_one() {
        for (written, _) in REQUESTS {
            let line = written.replace('N', "3").replace("SLOT", "w0");
            let line = line.replace("3AME BYTES", "name some bytes");
            Request::parse(line.as_bytes()).unwrap_or_else(|why| panic!("{line}: {why}"));
        }
    }

    #[test]
    fn a_call_names_a_slot_and_a_command_and_gives_it_the_rest_of_the_line() {
        let to = ProcessKey { generation: ANYBODY, ..ProcessKey::task(12, 1) };
        let call = Call { to, name: "add", bytes: b" 1  2 " };
        assert_eq!(Request::parse(b"call t12 add  1  2 "), Ok(Request::Call(call)));
        let empty = Call { to, name: "add", bytes: b"" };
        assert_eq!(Request::parse(b"call t12 add"), Ok(Request::Call(empty)));
        for wrong in ["call", "call w", "call w+1 add", "call x1 add", "call w70000 add"] {
            assert!(Request::parse(wrong.as_bytes()).unwrap_err().contains("needs a slot"));
        }
        for wrong in ["call w0", "call w0 ", "call w0  add"] {
            assert!(Request::parse(wrong.as_bytes()).unwrap_err().contains("name of a command"));
        }
    }

    #[test]
    fn what_is_no_request_is_told_with_what_may_be_meant() {
        let refused = |line: &[u8]| Request::parse(line).unwrap_err();
        assert!(refused(b"relaod").ends_with("did you mean `reload`?"));
        assert!(refused(b"xyzzy").ends_with("`help` lists them"));
        assert!(refused(b"\xff\xfe").ends_with("`help` lists them"));
        assert!(refused(b"stop now").contains("stands alone"));
        assert!(refused(b"succed").ends_with("did you mean `succeed`?"));
        assert!(refused(b"succeed now").contains("stands alone"));
        for wrong in ["workers", "workers 0", "workers -1", "workers 70000", "workers 2 3"] {
            assert!(refused(wrong.as_bytes()).contains("needs a number"), "{wrong}");
        }
    }

    #[test]
    fn a_reload_is_of_the_workers_or_of_what_is_named() {
        for (line, kind) in [
            (&b"reload"[..], ProcessKind::Event),
            (b"reload ", ProcessKind::Event),
            (b"reload tasks", ProcessKind::Task),
            (b"reload processes", ProcessKind::User),
        ] {
            assert_eq!(Request::parse(line), Ok(Request::Reload(kind)));
        }
        let refused = |line: &[u8]| Request::parse(line).unwrap_err();
        assert!(refused(b"reload task").ends_with("did you mean `reload tasks`?"));
        assert!(refused(b"reload proceses").ends_with("did you mean `reload processes`?"));
        for wrong in [&b"reload  tasks"[..], b"reload tasks ", b"reload tasks processes"] {
            assert!(refused(wrong).starts_with("`reload` stands alone on its line, or"));
        }
        assert!(refused(b"reload \xff").ends_with("or before `tasks` or `processes`"));
        assert!(refused(b"reload companion").ends_with("or before `tasks` or `processes`"));
    }

    proptest! {
        #[test]
        fn any_line_is_a_request_or_an_error(line: Vec<u8>) {
            let _ = Request::parse(&line);
        }
    }
}
