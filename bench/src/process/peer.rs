//! A server to be measured: a name and a command line.

use std::path::{Path, PathBuf};

use crate::identity::Identity;
use crate::{Error, Result};

/// In a command: replaced by a free port. Such a server need not print anything; it is up when the
/// port answers.
pub(super) const PORT: &str = "{port}";

/// A server to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name in tables and messages.
    pub name: String,
    /// Program and arguments. Without `{port}` in it, the server must print `listening on URL`, or
    /// `listening on ADDRESS`, first.
    pub command: Vec<String>,
    /// What its clients believe, if it speaks TLS: its certificate.
    pub trust: Option<PathBuf>,
}

impl Peer {
    /// A peer from program and arguments.
    pub fn new(name: &str, program: &Path, arguments: &[&str]) -> Self {
        let mut command = vec![program.to_string_lossy().into_owned()];
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Self { name: name.to_owned(), command, trust: None }
    }

    /// Parses `NAME=CMD`. CMD is split like a shell would (quotes, backslashes) but no shell runs.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: &str| Error::usage(format!("peer `{text}`: {reason}"));
        let (name, command) = text.split_once('=').ok_or_else(|| wrong("expected NAME=CMD"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong("a name has letters, digits, `_`, `-`, `.`"));
        }
        let command = shlex::split(command).ok_or_else(|| wrong("a quote is not closed"))?;
        if command.is_empty() {
            return Err(wrong("the command is empty"));
        }
        Ok(Self { name: name.to_owned(), command, trust: None })
    }

    /// The raw epoll echo of this crate; `bench` is the `ostler-bench` program.
    pub fn raw_epoll(bench: &Path) -> Self {
        Self::new("raw", bench, &["raw-epoll-echo", "--listen", "127.0.0.1:0"])
    }

    /// The raw epoll echo with so many threads.
    pub fn raw_epoll_threads(bench: &Path, threads: u16) -> Self {
        let (name, threads) = (format!("raw-{threads}"), threads.to_string());
        let arguments = ["raw-epoll-echo", "--threads", &threads, "--listen", "127.0.0.1:0"];
        Self::new(&name, bench, &arguments)
    }

    /// The raw epoll echo that receives each message, of so many bytes, before it sends any of it.
    pub fn raw_epoll_whole(bench: &Path, size_bytes: usize) -> Self {
        let size = size_bytes.to_string();
        let arguments = ["raw-epoll-echo", "--whole", &size, "--listen", "127.0.0.1:0"];
        Self::new("raw-whole", bench, &arguments)
    }

    /// The raw echo of this crate that speaks TLS.
    pub fn raw_tls(bench: &Path, identity: &Identity) -> Self {
        let [certificate, key] =
            [&identity.certificate, &identity.key].map(|path| path.to_string_lossy());
        let listen = ["raw-tls-echo", "--listen", "127.0.0.1:0"];
        let files = ["--certificate", &*certificate, "--key", &*key];
        let peer = Self::new("raw-tls", bench, &[&listen[..], &files].concat());
        Self { trust: Some(identity.certificate.clone()), ..peer }
    }

    /// The raw server of this crate that sends files of so many bytes.
    #[must_use]
    pub fn raw_sendfile(bench: &Path, message_bytes: usize) -> Self {
        let size = message_bytes.to_string();
        let arguments = ["raw-sendfile-loop", "--size", &size, "--listen", "127.0.0.1:0"];
        Self::new("raw-sendfile", bench, &arguments)
    }

    /// The raw server of this crate that sends messages of so many bytes.
    #[must_use]
    pub fn raw_send(bench: &Path, message_bytes: usize) -> Self {
        let size = message_bytes.to_string();
        let arguments = ["raw-send-loop", "--size", &size, "--listen", "127.0.0.1:0"];
        Self::new("raw-send", bench, &arguments)
    }

    /// The raw server of this crate that sends what one client says to so many.
    #[must_use]
    pub fn raw_send_to_all(bench: &Path, listeners: usize) -> Self {
        let listeners = listeners.to_string();
        let arguments = ["raw-send-to-all", "--listeners", &listeners, "--listen", "127.0.0.1:0"];
        Self::new("raw-send-to-all", bench, &arguments)
    }

    /// The raw echo of datagrams of this crate.
    pub fn raw_udp(bench: &Path) -> Self {
        Self::new("raw-udp", bench, &["raw-udp-echo", "--listen", "127.0.0.1:0"])
    }

    /// The echo of this crate whose asker waits for each message; `bench` is the `ostler-bench`
    /// program.
    pub fn raw_relay(bench: &Path) -> Self {
        Self::new("raw-relay", bench, &["raw-relay", "--listen", "127.0.0.1:0"])
    }

    /// The tokio echo of this crate; `bench` is the `ostler-bench` program.
    pub fn tokio(bench: &Path) -> Self {
        Self::new("tokio", bench, &["tokio-echo", "--listen", "127.0.0.1:0"])
    }

    /// Ostler's instrument with one reactor and one worker.
    pub fn ostler(instrument: &Path) -> Self {
        Self::ostler_as(instrument, 1, 1, "echo")
    }

    /// Ostler's instrument with so many processes and threads and this handler.
    pub fn ostler_as(instrument: &Path, workers: u16, reactors: u16, handler: &str) -> Self {
        let (workers, reactors) = (format!("workers={workers}"), format!("reactors={reactors}"));
        let settings = ["listen=127.0.0.1:0", &workers, &reactors];
        Self::instrument("ostler", instrument, &settings, handler)
    }

    /// Ostler's instrument with one worker in BASE mode.
    pub fn ostler_base(instrument: &Path) -> Self {
        let settings = ["listen=127.0.0.1:0", "workers=1", "mode=base"];
        Self::instrument("ostler", instrument, &settings, "echo")
    }

    /// Ostler's instrument with one reactor and one worker, and with these options besides.
    pub fn ostler_set(name: &str, instrument: &Path, settings: &[&str]) -> Self {
        let shape = ["listen=127.0.0.1:0", "workers=1", "reactors=1"];
        Self::instrument(name, instrument, &[&shape, settings].concat(), "echo")
    }

    /// Ostler's instrument with one worker and one task worker, and this handler.
    pub fn ostler_tasks(name: &str, instrument: &Path, handler: &str) -> Self {
        Self::with_task_worker(name, instrument, &[], handler)
    }

    /// The same with tasks that outlive the server, in a file beside another one.
    pub fn ostler_kept(instrument: &Path, beside: &Path, sync: &str) -> Self {
        let path = beside.with_file_name(format!("tasks-{sync}"));
        let journal = format!("task_journal={}", path.display());
        let sync_setting = format!("task_journal_sync={sync}");
        let settings = [journal.as_str(), &sync_setting];
        Self::with_task_worker(&format!("ostler-kept-{sync}"), instrument, &settings, "task")
    }

    fn with_task_worker(name: &str, instrument: &Path, more: &[&str], handler: &str) -> Self {
        let shape = ["listen=127.0.0.1:0", "workers=1", "reactors=1", "task_workers=1"];
        Self::instrument(name, instrument, &[&shape[..], more].concat(), handler)
    }

    /// Ostler's instrument with four workers; one call of each handler in a hundred takes 50 ms.
    pub fn ostler_slow(name: &str, instrument: &Path, dispatch: &str) -> Self {
        let dispatch = format!("dispatch={dispatch}");
        let settings = ["listen=127.0.0.1:0", "workers=4", "reactors=1", "framing=raw", &dispatch];
        Self::instrument(name, instrument, &settings, "slow_every:100,50")
    }

    /// Ostler's instrument with one reactor and one worker that speak TLS.
    pub fn ostler_tls(instrument: &Path, identity: &Identity) -> Self {
        let [certificate, key] =
            [&identity.certificate, &identity.key].map(|path| path.display().to_string());
        let files = format!("tls_certificate={certificate},tls_key={key}");
        let peer = Self::ostler_at(instrument, &format!("tls://127.0.0.1:0,{files}"));
        Self { trust: Some(identity.certificate.clone()), ..peer }
    }

    /// Ostler's instrument with one reactor and one worker, for datagrams.
    pub fn ostler_udp(instrument: &Path) -> Self {
        Self::ostler_at(instrument, "udp://127.0.0.1:0")
    }

    fn ostler_at(instrument: &Path, url: &str) -> Self {
        let port = format!("echo={url}");
        let shape = ["--set", "workers=1", "--set", "reactors=1", "--port", &port];
        Self::new("ostler", instrument, &shape)
    }

    fn instrument(name: &str, instrument: &Path, settings: &[&str], handler: &str) -> Self {
        let mut arguments: Vec<&str> =
            settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        arguments.extend(["--handler", handler]);
        Self::new(name, instrument, &arguments)
    }

    /// Whether the port is ours to choose.
    pub(super) fn takes_port(&self) -> bool {
        self.command.iter().any(|word| word.contains(PORT))
    }

    /// The program's path if it is given as a path and there is no such file.
    pub(super) fn missing_program(&self) -> Option<PathBuf> {
        let program = self.command.first()?;
        let path = PathBuf::from(program);
        (program.contains('/') && !path.exists()).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_without_a_shell() {
        let peer =
            Peer::parse(r#"php-8.4=php "my server.php" --port={port} '$HOME' a\ b"#).unwrap();
        assert_eq!(peer.name, "php-8.4");
        assert_eq!(peer.command, ["php", "my server.php", "--port={port}", "$HOME", "a b"]);
        assert!(peer.takes_port());
        let peer = Peer::parse("x=env A=1 true").unwrap();
        assert_eq!(peer.command, ["env", "A=1", "true"]);
        assert!(!peer.takes_port());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "=true", "x=", "x=  ", "a b=true", "x='open"] {
            assert!(Peer::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_program_is_seen() {
        assert!(Peer::parse("x=/no/such/program").unwrap().missing_program().is_some());
        assert!(Peer::parse("x=sh -c true").unwrap().missing_program().is_none());
        assert!(Peer::parse("x=/bin/sh").unwrap().missing_program().is_none());
    }
}
