//! Commands about groups.

use ostler::{Group, SendError, Session};

use crate::Probe;
use crate::words::{Call, outcome, pattern};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(_: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    membership(call, word) || message(call, word) || knows(call, word)
}

fn said(result: Result<(), SendError>) -> &'static str {
    match result {
        Err(error) if error.is_bad_group_name() => "bad_name",
        result => outcome(result),
    }
}

fn membership(call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session) = (call.worker, call.session);
    let rest = &mut call.arguments;
    let result = match word {
        "join" => session.join(rest.word()),
        "part" => session.leave(rest.word()),
        "joinof" => {
            let other = worker.session(rest.number());
            other.join(rest.word())
        }
        // A name of so many bytes.
        "joinbig" => session.join(vec![b'x'; rest.size()]),
        // So many groups, by numbers behind a name.
        "joinmany" => {
            let (name, count) = (rest.word(), rest.number());
            (0..count).try_for_each(|number| session.join(format!("{name}{number}")))
        }
        _ => return false,
    };
    call.say(said(result));
    true
}

fn message(call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session, package) = (call.worker, call.session, call.package);
    let rest = &mut call.arguments;
    let group = |name: &str| -> Group { worker.group(name) };
    match word {
        "cast" => {
            let group = group(rest.word());
            call.say(said(group.send(format!("{}\n", call.arguments.rest()).as_bytes())));
        }
        "castothers" => {
            let group = group(rest.word());
            let line = format!("{}\n", call.arguments.rest());
            call.say(said(group.send_to_others(session, line.as_bytes())));
        }
        // To all but who asks, so many times so many bytes.
        "castflood" => {
            let (group, count, bytes) = (group(rest.word()), rest.number(), pattern(rest.size()));
            let results = (0..count).map(|_| said(group.send_to_others(session, &bytes)));
            let ok = results.filter(|result| *result == "ok").count();
            call.say(format!("ok {ok} of {count}"));
        }
        // Numbered lines to a group, and between them as many to one session.
        "castmixed" => {
            let (group, to, count) = (group(rest.word()), rest.number(), rest.number());
            let to = worker.session(to);
            for number in 0..count {
                let _ = group.send_to_others(session, format!("group {number}\n").as_bytes());
                let _ = to.send(format!("alone {number}\n").as_bytes());
            }
            call.say("ok");
        }
        // Joins, sends a line, and dies of it the first time.
        "castonce" => {
            let name = rest.word();
            let line = format!("{}\n", rest.rest());
            let _ = session.join(name);
            let result = group(name).send(line.as_bytes());
            if !package.is_redelivered() {
                std::process::abort();
            }
            call.say(said(result));
        }
        _ => return false,
    }
    true
}

fn knows(call: &mut Call<'_>, word: &str) -> bool {
    let (worker, session) = (call.worker, call.session);
    let rest = &mut call.arguments;
    match word {
        "grouplen" => {
            let len = worker.group(rest.word()).len();
            call.say(len.to_string());
        }
        "members" => {
            let members = worker.group(rest.word()).members(rest.size());
            let mut ids: Vec<u64> = members.iter().map(Session::id).collect();
            ids.sort_unstable();
            let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
            call.say(ids.join(" "));
        }
        "isin" => {
            let is_in = session.is_in(rest.word());
            call.say(is_in.to_string());
        }
        _ => return false,
    }
    true
}
