//! Options that are one word of a few.

use ostler_core::framing::LengthType;
use ostler_core::policy::{AnswerOrder, Dispatch};

use super::info::Kind;
use super::setting::{Problem, Setting};
use super::{ClientAuth, ProxyProtocol, TlsVersion, UnknownName};

/// How the bytes of a session become packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FramingKind {
    /// Each read is a package, behind what the worker has not used of the one before.
    Stream,
    /// Each read is a package.
    Raw,
    /// A delimiter ends a package.
    Eof,
    /// Everything received is a package as soon as it ends with the delimiter.
    EofAtEnd,
    /// A line feed ends a package.
    Line,
    /// A field in the header says how long a package is.
    Length,
    /// MQTT control packets.
    Mqtt,
    /// Values of the Redis serialization protocol.
    Resp,
}

/// What becomes of the sessions of a master when a new one takes its place.
///
/// ```
/// use ostler::{Server, SuccessionSessions};
///
/// let server = Server::builder().succession_sessions(SuccessionSessions::Drain);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SuccessionSessions {
    /// Those of plain connections go to the new one as soon as nothing of them is at a worker.
    HandOver,
    /// They stay with the old one until they end.
    Drain,
}

/// Which process serves the clients.
///
/// ```
/// use ostler::{Mode, Server};
///
/// let server = Server::builder().mode(Mode::Base).workers(4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The master: what happens to a worker is nothing to the connections, and any worker may
    /// handle any package.
    Process,
    /// Each worker its own: nothing lies between a client and user code, and connections end with
    /// their worker.
    Base,
}

/// How a worker process begins.
///
/// ```
/// use ostler::{Server, Start};
///
/// let server = Server::builder().start(Start::Exec);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// As a fork of the program that was started: it begins in milliseconds, with what the program
    /// had made before [`Server::run`](crate::Server::run), and runs that code for ever.
    Fork,
    /// By executing the program as it lies on disk: a reload puts a new one into service. The
    /// program's `main` runs again in each worker, up to [`Server::run`](crate::Server::run).
    Exec,
}

/// Which processes keep others of the same user out of their memory and descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harden {
    /// None: everything can be debugged.
    Off,
    /// Master, manager and spare manager. Workers can be debugged and profiled, and leave core
    /// files.
    Master,
    /// Workers too, so that one of them cannot open another one.
    All,
}

/// Which processes may make only the system calls, and open only the files, that they need.
///
/// ```
/// use ostler::{Sandbox, Server};
///
/// let server = Server::builder().sandbox(Sandbox::Master);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sandbox {
    /// None.
    Off,
    /// The master, with its reactors, when it serves.
    Master,
}

/// When programs are ended that a process of the server has started and left behind.
///
/// ```
/// use ostler::{KillOrphans, Server};
///
/// let server = Server::builder().kill_orphans(KillOrphans::Worker);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillOrphans {
    /// When the server ends in order; they outlive a master that is killed.
    End,
    /// When the server ends, also if its master is killed.
    Always,
    /// As soon as the process has ended that has started them, and however the server ends.
    Worker,
}

impl KillOrphans {
    /// Whether they end with a master that is killed, too.
    pub(crate) fn outlives_nobody(self) -> bool {
        self != Self::End
    }
}

/// What becomes of a member of a group that reads too slowly for its messages.
///
/// ```
/// use ostler::{GroupOverflow, Server};
///
/// let server = Server::builder().group_overflow(GroupOverflow::Close);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupOverflow {
    /// It misses the message.
    Skip,
    /// Its session is closed as a slow reader.
    Close,
}

/// Where the numbers of sessions begin when the server starts. They grow by one with each
/// connection.
///
/// ```
/// use ostler::{Server, SessionIds};
///
/// // 1001, 1002, ...
/// let server = Server::builder().session_ids(SessionIds::Sequential).start_session_id(1_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionIds {
    /// Anywhere: a number from before a restart is, as good as surely, nobody's after it.
    RandomStart,
    /// At the number behind `start_session_id`.
    Sequential,
}

/// What becomes of a task whose worker died after it was started.
///
/// ```
/// use ostler::{Server, TaskCrash};
///
/// let server = Server::builder()
///     .task_workers(4)
///     .task_crash_policy(TaskCrash::Redeliver)
///     .task_attempts_max(5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskCrash {
    /// It fails: who has asked is told.
    Fail,
    /// It is forgotten: nobody is called back, who waits does so no longer, the books count it.
    Drop,
    /// Another worker runs it, as often as `task_attempts_max` says; then it fails. Its results
    /// come exactly once, the execution may not.
    Redeliver,
}

/// To whom the results of a task go whose asker is dead.
///
/// ```
/// use ostler::{Server, TaskResultTo};
///
/// let server = Server::builder().task_workers(4).task_result_to(TaskResultTo::Successor);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskResultTo {
    /// To nobody: they are thrown away, and counted as unheard.
    Asker,
    /// To the next process of its slot, as soon as that serves: to `on_finish` of the server's
    /// handler, where [`TaskResult::is_inherited`](crate::TaskResult::is_inherited) tells.
    Successor,
}

/// When the disk is asked to have the tasks that were written to `task_journal`.
///
/// ```
/// use ostler::{JournalSync, Server};
///
/// let server = Server::builder()
///     .task_workers(4)
///     .task_journal("/var/lib/shop/tasks")
///     .task_journal_sync(JournalSync::Timed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalSync {
    /// Before a task is taken in: it survives the machine.
    Always,
    /// Every `task_journal_sync_ms`: what was taken in since may be lost with the machine, and is
    /// not with the server.
    Timed,
    /// When the system thinks so.
    Never,
}

/// What becomes of a server whose `task_journal` has been spoilt.
///
/// ```
/// use ostler::{JournalDamage, Server};
///
/// let server = Server::builder()
///     .task_workers(4)
///     .task_journal("/var/lib/shop/tasks")
///     .task_journal_damage(JournalDamage::Skip);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalDamage {
    /// It does not start: somebody has to look at it.
    Refuse,
    /// It starts with what can be read, and keeps the spoilt file beside it.
    Skip,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogLevel {
    /// Something failed that the engine could not repair.
    Error,
    /// Something failed and was repaired, or will need attention.
    Warn,
    /// Life cycle: start, reload, stop.
    Info,
    /// Decisions of the engine.
    Debug,
    /// Every event. Slow.
    Trace,
}

/// The form of the lines of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// `TIME LEVEL process message key=value`, for people.
    Text,
    /// A JSON object a line, for collectors.
    Json,
    /// `<PRIORITY>process message key=value`, for standard error that systemd's journal reads: it
    /// knows the time itself (sd-daemon(3)).
    Journald,
}

/// An enumeration that is spelled with one word for each variant.
pub(super) trait Words {
    /// The words, in the order of the documentation.
    const WORDS: &'static [&'static str];
}

/// Gives each variant its word.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)* }) => {
        impl Words for $name {
            const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl Setting for $name {
            fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
                match text.trim().to_ascii_lowercase().replace('-', "_").as_str() {
                    $($word => Ok(Self::$variant),)*
                    other => Err(none_of(Self::WORDS, other)),
                }
            }

            fn render(&self) -> String {
                match self { $(Self::$variant => $word,)* }.to_owned()
            }
        }
    };
}

words!(Dispatch {
    RoundRobin = "round_robin",
    SessionHash = "session_hash",
    AddressHash = "address_hash",
    UserId = "user_id",
    UserFunction = "user_function",
    IdleFirst = "idle_first",
    LeastInHand = "least_in_hand",
    Sticky = "sticky",
    Pull = "pull",
});

/// Chosen by the user, or (`auto`) by the framing.
impl Words for Option<Dispatch> {
    const WORDS: &'static [&'static str] = &[
        "auto",
        "round_robin",
        "session_hash",
        "address_hash",
        "user_id",
        "user_function",
        "idle_first",
        "least_in_hand",
        "sticky",
        "pull",
    ];
}

impl Setting for Option<Dispatch> {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        match text.trim() {
            word if word.eq_ignore_ascii_case("auto") => Ok(None),
            word => match Dispatch::parse(kind, word) {
                Ok(dispatch) => Ok(Some(dispatch)),
                Err(_) => Err(none_of(Self::WORDS, &word.to_ascii_lowercase())),
            },
        }
    }

    fn render(&self) -> String {
        self.as_ref().map_or_else(|| "auto".to_owned(), Setting::render)
    }
}

words!(AnswerOrder { Kept = "kept", Free = "free", });
words!(SuccessionSessions { HandOver = "hand_over", Drain = "drain", });
words!(FramingKind {
    Stream = "stream",
    Raw = "raw",
    Eof = "eof",
    EofAtEnd = "eof_at_end",
    Line = "line",
    Length = "length",
    Mqtt = "mqtt",
    Resp = "resp",
});
words!(SessionIds { RandomStart = "random_start", Sequential = "sequential", });
words!(GroupOverflow { Skip = "skip", Close = "close", });
words!(JournalSync { Always = "always", Timed = "timed", Never = "never", });
words!(JournalDamage { Refuse = "refuse", Skip = "skip", });
words!(TaskCrash { Fail = "fail", Drop = "drop", Redeliver = "redeliver", });
words!(TaskResultTo { Asker = "asker", Successor = "successor", });
words!(Start { Fork = "fork", Exec = "exec", });
words!(Mode { Process = "process", Base = "base", });
words!(KillOrphans { End = "end", Always = "always", Worker = "worker", });
words!(Harden { Off = "off", Master = "master", All = "all", });
words!(Sandbox { Off = "off", Master = "master", });
words!(ClientAuth { Off = "off", Optional = "optional", Required = "required", });
words!(ProxyProtocol { Off = "off", Required = "required", });
words!(TlsVersion { Tls12 = "1.2", Tls13 = "1.3", });
words!(UnknownName { First = "first", Refuse = "refuse", });
words!(LogFormat { Text = "text", Json = "json", Journald = "journald", });
words!(LogLevel {
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
    Trace = "trace",
});

/// A letter, of which the large and the small one differ.
impl Words for LengthType {
    const WORDS: &'static [&'static str] =
        &["c", "C", "s", "S", "n", "v", "l", "L", "N", "V", "q", "Q", "J", "P"];
}

impl Setting for LengthType {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        let mut letters = text.trim().chars();
        let known = letters.next().filter(|_| letters.next().is_none()).and_then(Self::from_letter);
        known.ok_or_else(|| none_of(Self::WORDS, text))
    }

    fn render(&self) -> String {
        self.letter().to_string()
    }
}

/// Says which words are valid, and which of them is nearest.
pub(super) fn none_of(words: &[&str], given: &str) -> Problem {
    let list = words.join("`, `");
    // Common prefixes count much: `warning` means `warn`. Longer texts are no slips of the finger.
    let near = words
        .iter()
        .filter(|_| given.len() <= 64)
        .map(|word| (strsim::jaro_winkler(given, word), word))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(likeness, _)| *likeness > 0.8);
    match near {
        Some((_, near)) => format!("it is one of `{list}`: did you mean `{near}`?"),
        None => format!("it is one of `{list}`"),
    }
}
