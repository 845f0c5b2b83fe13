//! The one error type of this crate: what went wrong, what to do about it, and with which code the
//! process ends.
//!
//! The kind is private, the questions are public ([`Error::is_option`] and so on). The text is
//! written for people, may change in any release and is no part of the interface.

use std::error::Error as StdError;
use std::{fmt, io};

use crate::sys::process::TooManyThreads;

/// Exit code of a bad option or of wrong usage.
///
/// ```
/// assert_eq!(ostler::Error::usage("write: chat").exit_code(), ostler::EXIT_OPTION);
/// ```
pub const EXIT_OPTION: u8 = 2;
/// Exit code of a listener that could not be opened.
pub const EXIT_LISTEN: u8 = 3;
/// Exit code of a server that could not start.
pub const EXIT_START: u8 = 4;
/// Exit code of a master without a manager: two ended within a second, or the spare did not take
/// the place of one.
pub const EXIT_MANAGERS_LOST: u8 = 5;
/// Exit code of a broken assumption inside Ostler.
pub const EXIT_INTERNAL: u8 = 70;

/// Why a server did not start, or ended.
///
/// Its `Debug` reads like its `Display`, so that `expect`, `unwrap` and a `main` that returns a
/// [`Result`] show the sentence too. Return [`crate::Exit`] from `main` to end with
/// [`Error::exit_code`] as well.
///
/// ```
/// let error = ostler::Server::builder().set("workers", 0).bind().unwrap_err();
/// assert!(error.is_option());
/// assert_eq!(error.exit_code(), 2);
/// assert!(error.to_string().contains("option `workers` cannot be `0`"));
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    /// What happened and what to do, without the cause.
    text: String,
    source: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Option,
    Listen,
    Start,
    ManagersLost,
    Internal,
}

/// The result of this crate's functions.
///
/// ```
/// fn serve() -> ostler::Result<()> {
///     let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
///     println!("bound to {}", server.local_address());
///     Ok(())
/// }
/// ```
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether an option has a bad name or value, or options contradict each other.
    ///
    /// ```
    /// assert!(ostler::Error::usage("write: chat [--colour NAME]").is_option());
    /// ```
    #[must_use]
    pub fn is_option(&self) -> bool {
        self.inner.kind == Kind::Option
    }

    /// Whether a listener could not be opened: the port is in use, the address is not of this
    /// machine, and so on.
    ///
    /// ```
    /// use ostler::Server;
    ///
    /// let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// let address = taken.local_addr().unwrap().to_string();
    /// assert!(Server::builder().listen(&address).bind().is_err_and(|error| error.is_listen()));
    /// ```
    #[must_use]
    pub fn is_listen(&self) -> bool {
        self.inner.kind == Kind::Listen
    }

    /// Whether the server could not start: no memory, no fork, workers that never became ready.
    #[must_use]
    pub fn is_start(&self) -> bool {
        self.inner.kind == Kind::Start
    }

    /// Whether the master ended because it had no manager any more: two ended within a second, or
    /// the spare did not take the place of one.
    #[must_use]
    pub fn is_managers_lost(&self) -> bool {
        self.inner.kind == Kind::ManagersLost
    }

    /// Whether an assumption inside Ostler did not hold: a bug, or a system call that failed as it
    /// never should.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.inner.kind == Kind::Internal
    }

    /// The code with which a program should end because of this error.
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 2 | a bad option, or wrong usage |
    /// | 3 | cannot listen |
    /// | 4 | could not start: memory, fork, workers that never became ready |
    /// | 5 | no manager left: two ended within a second, or a spare took no place |
    /// | 70 | internal error |
    ///
    /// ```
    /// fn code(result: ostler::Result<()>) -> u8 {
    ///     result.map_or_else(|error| error.exit_code(), |()| 0)
    /// }
    /// assert_eq!(code(Ok(())), 0);
    /// ```
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.inner.kind {
            Kind::Option => EXIT_OPTION,
            Kind::Listen => EXIT_LISTEN,
            Kind::Start => EXIT_START,
            Kind::ManagersLost => EXIT_MANAGERS_LOST,
            Kind::Internal => EXIT_INTERNAL,
        }
    }

    /// Wrong usage of the program: an error of kind *option*, for what a program checks itself in
    /// its arguments. `text` says what is wrong and what would be right.
    ///
    /// ```
    /// let error = ostler::Error::usage("`--prot` is unknown: write --port NUMBER");
    /// assert_eq!(error.exit_code(), ostler::EXIT_OPTION);
    /// ```
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self::option(text)
    }

    /// A bad option, or wrong usage. `text` names the option and the value and says what would be
    /// right.
    pub(crate) fn option(text: impl Into<String>) -> Self {
        Self::new(Kind::Option, text, None)
    }

    /// Several options that are wrong, or one. Each text is a sentence of its own.
    pub(crate) fn options(texts: &[String]) -> Self {
        match texts {
            [one] => Self::option(one),
            all => {
                let list: String = all.iter().map(|text| format!("\n  - {text}")).collect();
                Self::option(format!("{} options are wrong:{list}", all.len()))
            }
        }
    }

    /// An option whose value the system refused, for example a path that cannot be opened.
    pub(crate) fn option_refused(text: impl Into<String>, source: io::Error) -> Self {
        Self::new(Kind::Option, text, Some(source))
    }

    /// A listener that could not be opened on `address`.
    pub(crate) fn listen(address: impl fmt::Display, source: io::Error) -> Self {
        let advice = listen_advice(source.kind());
        Self::new(Kind::Listen, format!("cannot listen on {address}: {advice}"), Some(source))
    }

    /// A listener that could not be opened at `url`; `advice` says why and what to do.
    pub(crate) fn cannot_listen(
        url: impl fmt::Display,
        advice: &str,
        source: Option<io::Error>,
    ) -> Self {
        Self::new(Kind::Listen, format!("cannot listen on {url}: {advice}"), source)
    }

    /// A server that could not start. `what` says what failed and what to do.
    pub(crate) fn start(what: impl Into<String>, source: Option<io::Error>) -> Self {
        Self::new(Kind::Start, what, source)
    }

    /// Memory shared between processes that could not be made. `what` names it.
    pub(crate) fn memory(what: impl fmt::Display, source: io::Error) -> Self {
        let text = format!("cannot make {what}: {}", memory_advice(&source));
        Self::new(Kind::Start, text, Some(source))
    }

    /// A process that could not be forked. `what` names it.
    pub(crate) fn fork(what: impl fmt::Display, source: io::Error) -> Self {
        let text = format!("cannot fork {what}: {}", fork_advice(&source));
        Self::new(Kind::Start, text, Some(source))
    }

    /// Workers that did not become ready in time.
    pub(crate) fn never_ready(ready: usize, wanted: usize, boot_timeout_ms: u64) -> Self {
        Self::start(
            format!(
                "only {ready} of {wanted} workers became ready within {boot_timeout_ms} ms: \
                 the log says how the others \
                 ended; if they only need longer, raise `boot_timeout_ms`"
            ),
            None,
        )
    }

    /// All workers failed to start; `why` is the last reason.
    pub(crate) fn nobody_starts(workers: usize, why: &str) -> Self {
        let who =
            if workers == 1 { "the worker".to_owned() } else { format!("all {workers} workers") };
        Self::start(format!("{who} failed to start: {why}; the log says more"), None)
    }

    /// Nobody is left to supervise workers; `why` says how that came.
    pub(crate) fn managers_lost(why: &str) -> Self {
        let text = format!(
            "{why}, so no manager is left: the log says how they ended; when something kills or \
             holds them (the system's out-of-memory killer? a debugger?), stop that first"
        );
        Self::new(Kind::ManagersLost, text, None)
    }

    /// An assumption that did not hold. `what` names it.
    pub(crate) fn internal(what: impl fmt::Display, source: Option<io::Error>) -> Self {
        let text = format!(
            "internal error: {what}; this is a bug in Ostler, please report it with the log"
        );
        Self::new(Kind::Internal, text, source)
    }

    fn new(kind: Kind, text: impl Into<String>, source: Option<io::Error>) -> Self {
        Self { inner: Box::new(Inner { kind, text: text.into(), source }) }
    }
}

/// What to do, by what the system said; the place where it said so knows less.
fn fork_advice(error: &io::Error) -> &'static str {
    if error.get_ref().is_some_and(|inner| inner.is::<TooManyThreads>()) {
        return "call `run` before the program starts any thread; no `#[tokio::main]`: start a \
                runtime in `on_worker_start`";
    }
    match error.raw_os_error() {
        Some(libc::EAGAIN) => {
            "raise the limit of processes (`ulimit -u`, `pids.max` of the control group)"
        }
        Some(libc::ENOMEM) => "free memory, or allow more of it (`memory.max`)",
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of descriptors (`ulimit -n`)",
        Some(libc::ENOSYS) => {
            "this kernel lacks a system call that Ostler needs (Linux 5.4 or later has them), or a \
             seccomp profile hides it"
        }
        Some(libc::EPERM | libc::EACCES) => {
            "a security policy (seccomp, a container's profile) forbids it: allow it"
        }
        _ => "the log says more",
    }
}

/// What to do about a memory file that could not be made.
pub(crate) fn memory_advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EFBIG) => {
            "raise the limit of file sizes (`ulimit -f`), which counts for files in memory too"
        }
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of descriptors (`ulimit -n`)",
        Some(libc::ENOMEM | libc::ENOSPC) => {
            "free memory or allow more of it (`memory.max`, `ulimit -v`), or ask for less \
             (`max_connections`, `workers`, `reactors`, `lane_size`)"
        }
        _ => "the log says more",
    }
}

fn listen_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the program that holds it (`ss -ltnp` names it), or choose \
             another port with the option `listen`"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; use one of `ip address`, or 0.0.0.0 for all"
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; use a port above 1023, or give the program CAP_NET_BIND_SERVICE"
        }
        _ => "choose another address with the option `listen`",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)?;
        match &self.inner.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> [(Error, u8); 5] {
        let refused = || io::Error::from(io::ErrorKind::AddrInUse);
        [
            (Error::option("`workers` = 0"), 2),
            (Error::listen("127.0.0.1:9501", refused()), 3),
            (Error::never_ready(1, 4, 30_000), 4),
            (Error::managers_lost("two managers ended within a second"), 5),
            (Error::internal("a lane without a worker", None), 70),
        ]
    }

    #[test]
    fn error_codes_are_the_documented_ones() {
        for (error, code) in one_of_each() {
            assert_eq!(error.exit_code(), code, "{error}");
        }
        assert_eq!(Error::fork("a worker", io::Error::other("x")).exit_code(), 4);
    }

    #[test]
    fn debug_reads_like_display() {
        for (error, _) in one_of_each() {
            assert_eq!(format!("{error:?}"), error.to_string());
            assert_eq!(format!("{error:#?}"), error.to_string());
        }
    }

    #[test]
    fn advice_about_a_fork_comes_from_what_the_system_said() {
        let text = |error| Error::fork("the manager", error).to_string();
        let threads = text(io::Error::other(TooManyThreads(3)));
        assert!(threads.contains("3 threads") && threads.contains("tokio::main"), "{threads}");
        for (errno, word) in [
            (libc::EAGAIN, "ulimit -u"),
            (libc::ENOMEM, "memory"),
            (libc::EMFILE, "ulimit -n"),
            (libc::ENOSYS, "kernel"),
            (libc::EPERM, "seccomp"),
        ] {
            let text = text(io::Error::from_raw_os_error(errno));
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn advice_about_memory_comes_from_what_the_system_said() {
        for (errno, word) in [
            (libc::EFBIG, "ulimit -f"),
            (libc::ENOMEM, "lane_size"),
            (libc::ENOSPC, "lane_size"),
            (libc::EMFILE, "ulimit -n"),
        ] {
            let error = Error::memory("the board", io::Error::from_raw_os_error(errno));
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(error.exit_code(), EXIT_START);
        }
    }

    #[test]
    fn exactly_one_question_is_true_of_each_error() {
        for (error, _) in one_of_each() {
            let answers = [
                error.is_option(),
                error.is_listen(),
                error.is_start(),
                error.is_managers_lost(),
                error.is_internal(),
            ];
            assert_eq!(answers.iter().filter(|yes| **yes).count(), 1, "{error}");
        }
    }

    #[test]
    fn a_port_in_use_names_address_and_remedy_and_keeps_the_cause() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let cause = std::net::TcpListener::bind(address).unwrap_err();
        let error = Error::listen(address, cause);
        let text = error.to_string();
        assert!(error.is_listen());
        assert!(text.contains(&address.to_string()) && text.contains("in use"), "{text}");
        assert!(text.contains("`listen`"), "{text}");
        assert!(error.source().is_some());
    }

    #[test]
    fn an_error_is_one_word_wide_and_can_cross_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
