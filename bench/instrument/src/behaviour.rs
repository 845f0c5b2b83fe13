//! What the instrument does with a package, and how that is written on the command line.

use std::time::Duration;

/// The handlers as the user writes them.
pub(crate) const HANDLERS: &str = "echo, sleep_ms:N, slow_every:N,MS, defer_ms:N, crash_every:N, \
    crash_on:TEXT, \
     big_reply:N, stream:N, sendfile:N, task[:US], task_defer[:US], task_wait, task_send, \
     broadcast or orders";

/// What is done with a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Send it back.
    Echo,
    /// Wait so long, then send it back.
    Sleep(Duration),
    /// Send it back; wait before that at every N-th package of this process.
    SlowEvery {
        /// N.
        every: u64,
        /// How long.
        pause: Duration,
    },
    /// Defer it, and send it back so much later; the worker takes other packages meanwhile.
    Defer(Duration),
    /// Send it back; at every N-th package of this process, abort instead.
    CrashEvery(u64),
    /// Send it back; abort instead when it contains these bytes.
    CrashOn(Vec<u8>),
    /// Send N bytes, whatever came.
    BigReply(usize),
    /// Send one message of N bytes as fast as the client reads, whatever came.
    Stream(usize),
    /// Send a file of N bytes, whatever came.
    Sendfile(usize),
    /// Let a task worker send it back, which takes it so long: its result is sent when it comes; a
    /// failure closes the session.
    Task(Duration),
    /// The same, and the package is deferred until then: a death of the worker meanwhile is the
    /// client's, too.
    TaskDefer(Duration),
    /// Wait for a task worker to send it back.
    TaskWait,
    /// Send it back, and give it to a task worker that nobody listens to.
    TaskSend,
    /// Send it to everybody who is connected; a client is told with one byte that it hears that.
    Broadcast,
    /// Do what the package says, see [`crate::orders`].
    Orders,
}

impl Behaviour {
    /// Reads `NAME` or `NAME:VALUE`; the error tells the user what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let number = |value: &str| {
            value.parse::<u64>().map_err(|_| format!("`{text}`: write a number behind `{name}:`"))
        };
        let pause = |value: &str| number(value).map(Duration::from_millis);
        let work = |value: &str| match value {
            "" => Ok(Duration::ZERO),
            value => number(value).map(Duration::from_micros),
        };
        match name {
            "echo" => Ok(Self::Echo),
            "sleep_ms" => pause(value).map(Self::Sleep),
            "slow_every" => {
                let (every, ms) = value.split_once(',').ok_or(format!(
                    "`{text}`: write slow_every:N,MS, for example slow_every:100,5"
                ))?;
                Ok(Self::SlowEvery { every: number(every)?.max(1), pause: pause(ms)? })
            }
            "defer_ms" => pause(value).map(Self::Defer),
            "crash_every" => number(value).map(|every| Self::CrashEvery(every.max(1))),
            "crash_on" if value.is_empty() => {
                Err(format!("`{text}`: write a text behind `crash_on:`"))
            }
            "crash_on" => Ok(Self::CrashOn(value.as_bytes().to_vec())),
            "big_reply" => number(value).map(|len| Self::BigReply(len as usize)),
            "stream" => number(value).map(|len| Self::Stream(len as usize)),
            "sendfile" => number(value).map(|len| Self::Sendfile(len as usize)),
            "task" => Ok(Self::Task(work(value)?)),
            "task_defer" => Ok(Self::TaskDefer(work(value)?)),
            "task_wait" => Ok(Self::TaskWait),
            "task_send" => Ok(Self::TaskSend),
            "broadcast" => Ok(Self::Broadcast),
            "orders" => Ok(Self::Orders),
            _ => Err(format!("`{text}` is no handler: write {HANDLERS}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_read() {
        let five = Duration::from_millis(5);
        for (text, expected) in [
            ("echo", Behaviour::Echo),
            ("sleep_ms:5", Behaviour::Sleep(five)),
            ("slow_every:100,5", Behaviour::SlowEvery { every: 100, pause: five }),
            ("defer_ms:5", Behaviour::Defer(five)),
            ("crash_every:0", Behaviour::CrashEvery(1)),
            ("crash_on:a:b", Behaviour::CrashOn(b"a:b".to_vec())),
            ("big_reply:7", Behaviour::BigReply(7)),
            ("stream:8", Behaviour::Stream(8)),
            ("sendfile:9", Behaviour::Sendfile(9)),
            ("task", Behaviour::Task(Duration::ZERO)),
            ("task:7", Behaviour::Task(Duration::from_micros(7))),
            ("task_defer:8", Behaviour::TaskDefer(Duration::from_micros(8))),
            ("task_wait", Behaviour::TaskWait),
            ("task_send", Behaviour::TaskSend),
            ("broadcast", Behaviour::Broadcast),
            ("orders", Behaviour::Orders),
        ] {
            assert_eq!(Behaviour::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        for (text, part) in [
            ("tea", "crash_on:TEXT"),
            ("sleep_ms", "a number"),
            ("defer_ms:x", "a number"),
            ("task:x", "a number"),
            ("slow_every:100", "slow_every:N,MS"),
            ("slow_every:x,5", "a number"),
            ("crash_on:", "a text"),
        ] {
            let error = Behaviour::parse(text).unwrap_err();
            assert!(error.contains(part) && error.contains(text), "{error}");
        }
    }
}
