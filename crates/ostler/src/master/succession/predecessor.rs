//! In a new master: the one whose place it takes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use crate::control::{Channel, FromNewMaster, Received, SUCCESSION_PROTOCOL, ToNewMaster};
use crate::error::{Error, Result};
use crate::inheritance::left_socket;
use crate::master::ports::PassedOn;
use crate::options::{Mode, Options};
use crate::sys::process::{self, ProcessId};
use crate::sys::{poll, sealed_file};

/// Names the socket to the old master. Not like any option, as that of workers.
pub(super) const VARIABLE: &str = "OSTLER_PREDECESSOR";
/// How long the old master may take to say what it leaves: it says so before the new one is
/// started.
const WILL_MAX: Duration = Duration::from_secs(10);
/// Longest list of listeners: each port has a path of a socket or a host name.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// The old master.
pub(in crate::master) struct Predecessor {
    channel: Channel<FromNewMaster, ToNewMaster>,
    pid: Option<ProcessId>,
    pid_file: Option<OwnedFd>,
    oom_adjustment: Option<i32>,
}

/// What it leaves.
struct Will {
    listeners: PassedOn,
    pid_file: Option<OwnedFd>,
    oom_adjustment: Option<i32>,
}

impl Predecessor {
    /// Who has started this process to be replaced by it, and the listeners that it passes on;
    /// `None` when this process was started as everybody is.
    ///
    /// # Errors
    /// When the environment lies, or the old master is of a version that this one does not
    /// understand.
    pub(in crate::master) fn take(options: &Options) -> Result<Option<(Self, PassedOn)>> {
        let meaning = "how a master starts the one that takes its place";
        let Some(socket) = left_socket::take(VARIABLE, meaning)? else { return Ok(None) };
        if options.mode == Mode::Base {
            let text = "in BASE mode a new master cannot take the place of an old one: restart it";
            return Err(Error::start(text, None));
        }
        let channel = Channel::new(socket);
        match receive(&channel) {
            Ok(Will { listeners, pid_file, oom_adjustment }) => {
                let old = Self { channel, pid: process::parent(), pid_file, oom_adjustment };
                Ok(Some((old, listeners)))
            }
            Err(problem) => {
                let text = format!("this program cannot take the place of its master: {problem}");
                Err(Error::start(text, None))
            }
        }
    }

    /// The pid file of an old master, locked, if there is one.
    pub(in crate::master) fn pid_file(old: &mut Option<Self>) -> Option<OwnedFd> {
        old.as_mut()?.pid_file.take()
    }

    /// What the program had of `oom_score_adj` when its first master began, if that changed it.
    pub(in crate::master) const fn oom_adjustment(&self) -> Option<i32> {
        self.oom_adjustment
    }

    /// What is open here because of it.
    pub(in crate::master) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        let pid_file = self.pid_file.iter().map(AsRawFd::as_raw_fd);
        pid_file.chain([self.channel.as_fd().as_raw_fd()])
    }

    /// Its number, if it still runs.
    pub(in crate::master) const fn pid(&self) -> Option<ProcessId> {
        self.pid
    }

    /// Tells it that a worker serves. It may have ended meanwhile, which it says by itself.
    pub(in crate::master) fn hear_that_we_serve(&mut self) {
        let _ = self.channel.send(&FromNewMaster::Serves, Vec::new());
    }

    /// Whether it has handed over, or is gone.
    pub(in crate::master) fn has_handed_over(&self) -> bool {
        match self.channel.receive() {
            Ok(Received::Message(ToNewMaster::InCharge, _) | Received::Closed) => true,
            Ok(Received::Message(..) | Received::Nothing) => false,
            Err(_) => true,
        }
    }
}

impl AsFd for Predecessor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

type Problem<T> = std::result::Result<T, String>;

fn receive(channel: &Channel<FromNewMaster, ToNewMaster>) -> Problem<Will> {
    let deadline = Instant::now() + WILL_MAX;
    let (message, will) = message(channel, deadline)?;
    let ToNewMaster::Will { protocol, listeners, has_pid_file, oom_adjustment } = message else {
        return Err("what it says is not understood".to_owned());
    };
    if protocol != SUCCESSION_PROTOCOL {
        return Err(format!(
            "it hands over by protocol {protocol}, this program by {SUCCESSION_PROTOCOL}: restart \
             the server"
        ));
    }
    let missing = || "descriptors are missing; is the limit of descriptors too low?".to_owned();
    let mut will = will.into_iter();
    let names = names_in(&will.next().ok_or_else(missing)?)?;
    let pid_file = will.next();
    if names.len() != usize::from(listeners) || pid_file.is_some() != has_pid_file {
        return Err(missing());
    }
    let mut descriptors = Vec::new();
    while descriptors.len() < names.len() {
        match self::message(channel, deadline)? {
            (ToNewMaster::Listeners, more) if !more.is_empty() => descriptors.extend(more),
            _ => return Err(missing()),
        }
    }
    let listeners = PassedOn::new(names.into_iter().zip(descriptors).collect());
    Ok(Will { listeners, pid_file, oom_adjustment })
}

fn message(
    channel: &Channel<FromNewMaster, ToNewMaster>,
    deadline: Instant,
) -> Problem<(ToNewMaster, Vec<OwnedFd>)> {
    loop {
        match channel.receive().map_err(|error| error.to_string())? {
            Received::Message(message, descriptors) => return Ok((message, descriptors)),
            Received::Closed => return Err("it is gone".to_owned()),
            Received::Nothing => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it says nothing".to_owned());
        }
        let waited = poll::wait_readable([channel.as_fd()], Some(left));
        waited.map_err(|error| error.to_string())?;
    }
}

/// The names in a list, each with a zero byte behind it.
fn names_in(list: &OwnedFd) -> Problem<Vec<String>> {
    let bytes = sealed_file::read(list, LIST_BYTES_MAX)
        .map_err(|error| format!("its list of listeners cannot be read: {error}"))?;
    let names = bytes.split_inclusive(|&byte| byte == 0);
    names
        .map(|name| match name.split_last() {
            Some((0, name)) => Ok(String::from_utf8_lossy(name).into_owned()),
            _ => Err("its list of listeners is cut".to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{control_socket, eventfd};

    fn receive_from(will: ToNewMaster, list: &[u8], listeners: usize) -> Problem<Will> {
        let (near, far) = control_socket::pair().unwrap();
        let mut old = Channel::<ToNewMaster, FromNewMaster>::new(near);
        let list = sealed_file::create("test-listeners", list).unwrap();
        old.send(&will, vec![list]).unwrap();
        let listeners = (0..listeners).map(|_| eventfd::create().unwrap()).collect();
        old.send(&ToNewMaster::Listeners, listeners).unwrap();
        drop(old);
        receive(&Channel::new(far))
    }

    #[test]
    fn what_is_not_whole_or_of_another_version_is_refused_with_the_reason() {
        let will = |protocol, listeners| ToNewMaster::Will {
            protocol,
            listeners,
            has_pid_file: false,
            oom_adjustment: None,
        };
        let ours = SUCCESSION_PROTOCOL;
        let names = b"tcp 127.0.0.1:1\0unix /s\0";
        assert!(receive_from(will(ours, 2), names, 2).is_ok());
        let why = |will, list: &[u8], count| receive_from(will, list, count).err().unwrap();
        assert!(why(will(ours + 1, 2), names, 2).contains("restart the server"));
        assert!(why(will(ours, 3), names, 3).contains("descriptors are missing"));
        assert!(why(will(ours, 2), names, 1).contains("it is gone"));
        assert!(why(will(ours, 2), names, 0).contains("descriptors are missing"));
        assert!(why(will(ours, 1), &names[..5], 1).contains("is cut"));
        assert!(why(ToNewMaster::InCharge, names, 2).contains("not understood"));
    }
}
