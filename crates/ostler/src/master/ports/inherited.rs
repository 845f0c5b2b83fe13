//! Listeners that the program was started with: `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` of
//! systemd (sd_listen_fds(3)). Whoever holds them keeps the clients that wait while a server is
//! stopped and started, and may open ports that the server itself is not allowed to.

use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use crate::sys::descriptor;
use crate::sys::socket::{self, Family, Kind};

/// The number of the first of them.
const FIRST: RawFd = 3;
/// More descriptors than this are a mistake in the environment.
const COUNT_MAX: usize = 4_096;

/// The descriptors that a port of this program has taken: each serves one port.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// A descriptor that was passed, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Passed {
    number: RawFd,
    name: String,
}

impl Passed {
    /// How a port says that it means this one.
    fn url(&self) -> String {
        match self.name.as_str() {
            "" => format!("`fd://{}`", self.number),
            name => format!("`fd://{}`", name.escape_debug()),
        }
    }
}

/// Takes the listener that `fd://NAME` means; the error says why there is none and what to do.
pub(super) fn take(wanted: &str) -> Result<OwnedFd, String> {
    let passed = passed()?;
    let number = choose(&passed, wanted)?;
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(format!("the descriptor {number} serves another port, or has served one"));
    }
    let gone = |error| format!("the descriptor {number} was not passed or is no socket ({error})");
    let kind = descriptor::look_at(number, |borrowed| socket::kind(borrowed)).flatten();
    check(number, kind.map_err(gone)?)?;
    taken.push(number);
    descriptor::adopt(number).map_err(gone)
}

/// Listeners that were passed and that no port has taken: their clients wait for nobody.
pub(super) fn left() -> Vec<String> {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = passed().unwrap_or_default();
    let is_left = |one: &&Passed| {
        let kind = || descriptor::look_at(one.number, |borrowed| socket::kind(borrowed)).flatten();
        !taken.contains(&one.number) && kind().is_ok_and(|kind| kind.listens)
    };
    passed.iter().filter(is_left).map(Passed::url).collect()
}

fn passed() -> Result<Vec<Passed>, String> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let [pid, count, names] = descriptor::PASSED_VARIABLES.map(variable);
    read(&pid, &count, &names, std::process::id())
}

/// Only a stream socket that listens can be accepted from.
fn check(number: RawFd, kind: Kind) -> Result<Family, String> {
    let Kind { family, is_stream, listens } = kind;
    match family {
        _ if !is_stream => Err(format!(
            "the descriptor {number} is a socket for datagrams or packets: the socket unit needs \
             `ListenStream=`; for datagrams let the port listen at `udp://`"
        )),
        _ if !listens => Err(format!(
            "the descriptor {number} is a socket that does not listen: the socket unit needs \
             `Accept=no`"
        )),
        None => Err(format!(
            "the descriptor {number} is a socket of a family other than IPv4, IPv6 and unix"
        )),
        Some(family) => Ok(family),
    }
}

/// What the environment says was passed to the process `own`.
fn read(pid: &str, count: &str, names: &str, own: u32) -> Result<Vec<Passed>, String> {
    const NONE: &str = "this process was not started with listeners";
    if pid.is_empty() || count.is_empty() {
        return Err(format!(
            "{NONE}: LISTEN_PID and LISTEN_FDS are not set; start it by a systemd socket unit, or \
             give the port another `listen`"
        ));
    }
    if pid.parse() != Ok(own) {
        return Err(format!(
            "{NONE}: LISTEN_PID is {}, and this process is {own}; a launcher in between has to \
             end in `exec`",
            pid.escape_debug()
        ));
    }
    let Some(count) = count.parse::<usize>().ok().filter(|count| *count <= COUNT_MAX) else {
        return Err(format!("LISTEN_FDS is no number from 0 to {COUNT_MAX}"));
    };
    let mut names = names.split(':');
    let name = |number| Passed { number, name: names.next().unwrap_or_default().to_owned() };
    Ok((FIRST..).take(count).map(name).collect())
}

/// The number of the descriptor with this name, or this number.
fn choose(passed: &[Passed], wanted: &str) -> Result<RawFd, String> {
    if let Some(one) = passed.iter().find(|one| one.number.to_string() == wanted) {
        return Ok(one.number);
    }
    let named: Vec<&Passed> = passed.iter().filter(|one| one.name == wanted).collect();
    match named[..] {
        [one] => Ok(one.number),
        [] if passed.is_empty() => Err("no descriptor was passed".to_owned()),
        [] => {
            let known: Vec<_> = passed.iter().map(Passed::url).collect();
            Err(format!("no such descriptor was passed: there are {}", known.join(", ")))
        }
        [first, ..] => Err(format!(
            "several descriptors have this name: give each a `FileDescriptorName=` of its own, or \
             write the number of one, for example `fd://{}`",
            first.number
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_is_read_as_systemd_writes_it() {
        let passed = read("7", "2", "web:admin", 7).unwrap();
        assert_eq!(choose(&passed, "web"), Ok(3));
        assert_eq!(choose(&passed, "admin"), Ok(4));
        assert_eq!(choose(&passed, "4"), Ok(4));
        assert!(choose(&passed, "x").unwrap_err().contains("`fd://web`, `fd://admin`"));
        assert!(choose(&passed, "5").unwrap_err().contains("no such descriptor"));
        assert!(choose(&passed, "").unwrap_err().contains("no such descriptor"));
        let nameless = read("7", "1", "", 7).unwrap();
        assert_eq!(choose(&nameless, "3"), Ok(3));
        assert!(choose(&nameless, "web").unwrap_err().contains("`fd://3`"));
        let twins = read("7", "2", "web:web", 7).unwrap();
        assert!(choose(&twins, "web").unwrap_err().contains("for example `fd://3`"));
        assert_eq!(choose(&twins, "4"), Ok(4));
        let none = read("7", "0", "", 7).unwrap();
        assert!(choose(&none, "web").unwrap_err().contains("no descriptor was passed"));
    }

    #[test]
    fn an_environment_of_somebody_else_or_without_sense_is_told() {
        for (pid, count, words) in [
            ("", "", "are not set"),
            ("7", "", "are not set"),
            ("", "1", "are not set"),
            ("8", "1", "LISTEN_PID is 8, and this process is 7"),
            ("x\n", "1", "LISTEN_PID is x\\n"),
            ("-7", "1", "LISTEN_PID is -7"),
            ("7", "-1", "no number from 0 to 4096"),
            ("7", "4097", "no number from 0 to 4096"),
            ("7", "99999999999999999999", "no number from 0 to 4096"),
        ] {
            let problem = read(pid, count, "", 7).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        let many = read("7", "4096", "a:b", 7).unwrap();
        assert_eq!((many.len(), many[1].name.as_str(), many[2].name.as_str()), (4_096, "b", ""));
    }

    #[test]
    fn only_a_stream_socket_that_listens_is_taken() {
        let kind = |family, is_stream, listens| check(3, Kind { family, is_stream, listens });
        assert_eq!(kind(Some(Family::Ip), true, true), Ok(Family::Ip));
        assert_eq!(kind(Some(Family::Unix), true, true), Ok(Family::Unix));
        let why = |family, is_stream, listens| kind(family, is_stream, listens).unwrap_err();
        assert!(why(Some(Family::Ip), false, false).contains("`ListenStream=`"));
        assert!(why(Some(Family::Unix), true, false).contains("`Accept=no`"));
        assert!(why(None, true, true).contains("a family other than"));
    }
}
