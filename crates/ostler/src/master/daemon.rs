//! The server goes to the background (`daemonize`), and tells who started it how that went.
//!
//! The process that was started becomes the *launcher*: it waits until the first worker serves, and
//! ends with 0; or the server fails, and it prints why and ends with the server's code. Until then
//! signals to it are signals to the server. What the program prints when the server listens
//! ([`crate::Server::on_listening`]) is still seen by who started it; everything else that is
//! printed goes to the log file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::rc::Rc;

use super::bound_descriptors::BoundDescriptors;
use super::report::Announcement;
use crate::error::{Error, Result};
use crate::log::ServerLog;
use crate::options::Options;
use crate::sys::background::{self, Side};
use crate::sys::pidfd::{Exit, PidFd};
use crate::sys::process::{self, ProcessId};
use crate::sys::signal::SignalFd;
use crate::sys::{poll, signal};

/// What the launcher reads first when the server serves.
const SERVES: u8 = b'+';
/// What it reads first when the server failed; the reason follows.
const FAILED: u8 = b'-';
/// Bytes of the longest reason that the launcher prints.
const REASON_BYTES_MAX: u64 = 4_096;

/// The way back to who started the server, in the background.
pub(super) struct Daemon {
    launcher: Cell<Option<Launcher>>,
}

/// What is kept of the launcher until it knows.
struct Launcher {
    /// First: private as long as they are open, so that no other process has them.
    _private: BoundDescriptors,
    news: File,
    /// Standard output as it was.
    output: OwnedFd,
    log: OwnedFd,
}

impl Daemon {
    /// Goes on in the background, if the options say so; the launcher never comes back from here.
    pub(super) fn begin(options: &Options, log: &ServerLog) -> Result<Option<Rc<Self>>> {
        if !options.daemonize {
            return Ok(None);
        }
        let fail = |error| Error::start("cannot go to the background", Some(error));
        let (news, newsroom) = io::pipe().map_err(fail)?;
        match background::fork().map_err(|error| Error::fork("the server", error))? {
            Side::Launcher(server) => {
                drop(newsroom);
                process::exit_immediately(wait_for(server, File::from(OwnedFd::from(news))))
            }
            Side::Background => {
                drop(news);
                let launcher = Launcher::leave(OwnedFd::from(newsroom).into(), log);
                let launcher = Cell::new(Some(launcher.map_err(fail)?));
                Ok(Some(Rc::new(Self { launcher })))
            }
        }
    }

    /// The program's announcement, which the launcher's user is to see, and then the news.
    pub(super) fn around(self: Rc<Self>, announcement: Announcement) -> Announcement {
        Box::new(move |ports| match self.launcher.take() {
            None => announcement(ports),
            Some(launcher) => {
                launcher.with_its_output(|| announcement(ports));
                launcher.tell(SERVES, "");
            }
        })
    }

    /// The server ends: why, if that is an error that the launcher does not know of yet.
    pub(super) fn ends(&self, result: &Result<()>) {
        if let (Some(launcher), Err(error)) = (self.launcher.take(), result) {
            launcher.tell(FAILED, &error.to_string());
        }
    }
}

impl Launcher {
    /// Leaves the streams of the launcher: what is printed goes to the log file from here on.
    fn leave(news: File, log: &ServerLog) -> io::Result<Self> {
        let log = log.file_descriptor()?.ok_or(io::ErrorKind::NotFound)?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        background::redirect_streams(&log)?;
        let own = vec![news.as_raw_fd(), output.as_raw_fd(), log.as_raw_fd()];
        Ok(Self { _private: BoundDescriptors::new(own), news, output, log })
    }

    /// Lets somebody print to where the launcher's output goes.
    fn with_its_output(&self, print: impl FnOnce()) {
        let there = background::redirect_output(&self.output);
        print();
        if let Err(error) = there.and(background::redirect_output(&self.log)) {
            tracing::warn!(%error, "standard output cannot be redirected");
        }
    }

    /// A launcher that is gone needs no news.
    fn tell(mut self, first: u8, text: &str) {
        let _ = self.news.write_all(&[&[first], text.as_bytes()].concat());
    }
}

/// What the launcher does until the server serves or has ended: the exit code that it has then.
fn wait_for(server: ProcessId, mut news: File) -> i32 {
    let watched = PidFd::open(server).and_then(|server| Ok((server, SignalFd::new()?)));
    let (server, signals) = match watched {
        Ok(watched) => watched,
        Err(error) => return fail(&format!("cannot watch the server: {error}")),
    };
    loop {
        let descriptors = [news.as_fd(), signals.as_fd(), server.as_fd()];
        let Ok([has_news, has_signal, has_ended]) = poll::wait_readable(descriptors, None) else {
            return fail("cannot wait for the server");
        };
        if has_signal
            && let Ok(Some(received)) = signals.read()
            && received.signal != signal::CHLD
        {
            // It may have ended meanwhile.
            let _ = server.send(received.signal);
        }
        if has_news || has_ended {
            let mut first = [0];
            let _ = news.read(&mut first);
            return match first {
                [SERVES] => 0,
                _ => end_of(&server, first == [FAILED], news),
            };
        }
    }
}

/// The server ended before it served: its exit code, and its reason if it gave one.
fn end_of(server: &PidFd, has_reason: bool, news: File) -> i32 {
    if has_reason {
        let mut reason = Vec::new();
        let _ = news.take(REASON_BYTES_MAX).read_to_end(&mut reason);
        complain(&String::from_utf8_lossy(&reason));
    }
    loop {
        let _ = poll::wait_readable([server.as_fd()], None);
        match server.try_reap() {
            Ok(None) => {}
            Ok(Some(Exit::Code(code))) => return code,
            Ok(Some(Exit::Signal { signal, .. })) => {
                let signal = signal::name(signal);
                return fail(&format!("the server was ended by {signal} before it served"));
            }
            Err(error) => return fail(&format!("cannot wait for the server: {error}")),
        }
    }
}

/// An end that is no exit code of the server.
fn fail(text: &str) -> i32 {
    complain(text);
    Error::start("", None).exit_code().into()
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
