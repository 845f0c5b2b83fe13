//! What the master lays down for all workers of a server that are started by exec, in a sealed file
//! that each of them is given.
//!
//! The master's word counts for everything that it owns or shares with workers: ports, lanes,
//! limits, policies. What only workers look at is theirs, and a new program may have other values.

use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;

use super::Privileges;
use crate::api::address::Address;
use crate::api::port::{Port, Ports};
use crate::error::{Error, Result};
use crate::options::{Change, Options};
use crate::sys::process::Dumping;
use crate::sys::process_name::Instance;
use crate::sys::sealed_file;

/// Longest charter: thousands of options of ports, and their paths.
const CHARTER_BYTES_MAX: u64 = 4 << 20;

/// What the master lays down.
#[derive(Debug)]
pub(crate) struct Charter {
    /// The options of the server.
    pub(crate) options: Options,
    /// Where it listens.
    pub(crate) ports: Ports,
    /// What its processes are called.
    pub(crate) names: Instance,
    /// Whether the program was dumpable.
    pub(crate) dumping: Dumping,
    /// What rights workers give away. Names were looked up once, by the master.
    pub(crate) privileges: Privileges,
    /// The signals that the program blocked itself; see [`crate::sys::signal::blocked_before`].
    pub(crate) blocked_before: u64,
    /// Where the log file is, absolute; empty without one.
    pub(crate) log_path: PathBuf,
    /// The names of user processes, by their slots.
    pub(crate) process_names: Vec<String>,
}

/// The schemes of ports that were opened.
const SCHEMES: [&str; 5] = ["tcp", "tls", "udp", "unix", "unixgram"];

impl Charter {
    /// Writes it into a file that nobody changes any more.
    pub(crate) fn write(&self) -> io::Result<OwnedFd> {
        let mut bytes = Vec::new();
        let mut say = |parts: &[&[u8]]| {
            bytes.extend(parts.join(&b'='));
            bytes.push(0);
        };
        say(&[b"blocked", format!("{:x}", self.blocked_before).as_bytes()]);
        say(&[b"dumping", if self.dumping.is_allowed() { b"1" } else { b"0" }]);
        say(&[b"privileges", self.privileges.spell().as_bytes()]);
        say(&[b"whose", self.names.whose().as_bytes()]);
        say(&[b"log", self.log_path.as_os_str().as_bytes()]);
        for port in self.ports.iter() {
            let (kind, address) = match port.local_address() {
                Address::Ip(address) => (&b"ip"[..], address.to_string().into_bytes()),
                Address::Unix(path) => (&b"path"[..], path.as_os_str().as_bytes().to_vec()),
            };
            say(&[b"port", port.scheme().as_bytes(), port.name().as_bytes(), kind, &address]);
        }
        for name in &self.process_names {
            say(&[b"process", name.as_bytes()]);
        }
        for (name, value) in self.options.spelled() {
            say(&[b"option", name.as_bytes(), value.as_bytes()]);
        }
        sealed_file::create("ostler-charter", &bytes)
    }

    /// Reads it, in a worker. The text says what is wrong with it.
    pub(super) fn read(file: &OwnedFd) -> std::result::Result<Self, String> {
        let bytes = sealed_file::read(file, CHARTER_BYTES_MAX)
            .map_err(|error| format!("its charter cannot be read: {error}"))?;
        Self::parse(&bytes)
    }

    pub(super) fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut options = Options::default();
        let (mut ports, mut process_names) = (Vec::new(), Vec::new());
        let (mut whose, mut log_path) = (String::new(), PathBuf::new());
        let mut privileges = None;
        let (mut dumping, mut blocked_before) = (Dumping::of(false), 0);
        let Some((&0, bytes)) = bytes.split_last() else {
            return Err("its charter is cut".to_owned());
        };
        for line in bytes.split(|&byte| byte == 0) {
            let unknown = || format!("its charter says `{}`", String::from_utf8_lossy(line));
            let (word, rest) = split(line).ok_or_else(unknown)?;
            let text = || std::str::from_utf8(rest).map_err(|_| unknown());
            match word {
                b"blocked" => {
                    blocked_before = u64::from_str_radix(text()?, 16).map_err(|_| unknown())?;
                }
                b"dumping" => dumping = Dumping::of(rest == b"1"),
                b"privileges" => {
                    privileges = Some(Privileges::read(text()?).ok_or_else(unknown)?);
                }
                b"whose" => whose = text()?.to_owned(),
                b"log" => log_path = path_of(rest),
                b"port" => ports.push(port(ports.len(), rest).ok_or_else(unknown)?),
                b"process" => process_names.push(text()?.to_owned()),
                b"option" => {
                    let (name, value) = text()?.split_once('=').ok_or_else(unknown)?;
                    options.set(name, value).map_err(|error| error.to_string())?;
                }
                _ => return Err(unknown()),
            }
        }
        if ports.len() != options.ports().iter().count() {
            return Err("its charter has not one address for each port".to_owned());
        }
        // Who does not know what to give away would keep it.
        let Some(privileges) = privileges else {
            return Err("its charter says nothing of privileges".to_owned());
        };
        let mut ports = ports.into_iter();
        let Some(first) = ports.next() else { return Err("its charter has no port".to_owned()) };
        let ports = Ports(PerPort::new(first, ports.collect()));
        let names = Instance::of(&whose);
        options.user_processes = u16::try_from(process_names.len()).unwrap_or(u16::MAX);
        Ok(Self {
            options,
            ports,
            names,
            dumping,
            privileges,
            blocked_before,
            log_path,
            process_names,
        })
    }

    /// Takes over what a program says of options that only workers look at. Names those of the
    /// others that it would have otherwise.
    ///
    /// # Errors
    /// When its values do not fit the master's.
    pub(crate) fn take_own(&mut self, own: &Options) -> Result<String> {
        for info in Options::table().iter().filter(|info| info.change() == Change::Reload) {
            if let Some(value) = own.get(info.name) {
                self.options.set(info.name, &value)?;
            }
        }
        self.options.validate().map_err(|error| {
            let text = format!(
                "the options of this program do not fit those with which its server was started: \
                 {error}"
            );
            Error::option(text)
        })?;
        Ok(differing(&self.options.spelled(), &own.spelled()))
    }
}

/// The names of options that are not the same in both, in the order of the documentation.
fn differing(one: &[(String, String)], other: &[(String, String)]) -> String {
    let missing = |from: &[(String, String)], in_: &[(String, String)]| -> Vec<String> {
        let found = from.iter().filter(|option| !in_.contains(option));
        found.map(|(name, _)| name.clone()).collect()
    };
    let mut names = missing(one, other);
    names.extend(missing(other, one));
    let mut text = String::new();
    let mut said: Vec<&str> = Vec::new();
    for name in &names {
        if !said.contains(&name.as_str()) {
            let comma = if said.is_empty() { "" } else { ", " };
            // Writing into a String cannot fail.
            let _ = write!(text, "{comma}{name}");
            said.push(name);
        }
    }
    text
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    Some((line.get(..at)?, line.get(at.checked_add(1)?..)?))
}

fn path_of(bytes: &[u8]) -> PathBuf {
    Path::new(&std::ffi::OsString::from_vec(bytes.to_vec())).to_owned()
}

fn port(number: usize, line: &[u8]) -> Option<Port> {
    let (scheme, line) = split(line)?;
    let scheme = SCHEMES.into_iter().find(|known| known.as_bytes() == scheme)?;
    let (name, line) = split(line)?;
    let (kind, address) = split(line)?;
    let address = match kind {
        b"ip" => Address::Ip(std::str::from_utf8(address).ok()?.parse().ok()?),
        b"path" => Address::Unix(path_of(address)),
        _ => return None,
    };
    let id = PortId(u16::try_from(number).ok()?);
    Some(Port::new(id, std::str::from_utf8(name).ok()?, scheme, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charter(pairs: &[(&str, &str)]) -> Charter {
        let mut options = Options::default();
        for (name, value) in pairs {
            options.set(name, value).unwrap();
        }
        let address = |number: u16| Address::Ip(([127, 0, 0, 1], 9_000 + number).into());
        let plans = options.ports();
        let ports = plans.map(|plan| {
            let address = match plan.options.listen.scheme() {
                "unix" => Address::Unix("/run/a=b.sock".into()),
                _ => address(plan.id.0),
            };
            Port::new(plan.id, plan.name, plan.options.listen.scheme(), address)
        });
        Charter {
            ports: Ports(ports),
            options,
            names: Instance::new(&"127.0.0.1:1", "chat"),
            dumping: Dumping::of(true),
            privileges: Privileges::read("1 - 7:8:8,9 /srv").unwrap(),
            blocked_before: 0x8000_0000_0000_0002,
            log_path: "/var/log/a=b".into(),
            process_names: vec!["clock".to_owned(), "feed".to_owned()],
        }
    }

    #[test]
    fn charters_are_read_as_they_were_written() {
        for pairs in [
            &[("workers", "3"), ("log_file", "x=y")][..],
            &[("port.a.listen", "unix:///run/a=b.sock"), ("port.b.listen", "h:1")],
        ] {
            let written = charter(pairs);
            let read = Charter::read(&written.write().unwrap()).unwrap();
            assert_eq!(read.options.spelled(), written.options.spelled());
            let ports = |charter: &Charter| charter.ports.iter().cloned().collect::<Vec<_>>();
            assert_eq!(ports(&read), ports(&written));
            assert_eq!(read.names.whose(), written.names.whose());
            assert!(read.dumping.is_allowed());
            assert_eq!(read.blocked_before, written.blocked_before);
            assert_eq!(read.log_path, written.log_path);
            assert_eq!(read.process_names, written.process_names);
            assert_eq!(read.options.user_processes, 2);
        }
    }

    #[test]
    fn what_is_no_charter_is_refused() {
        let open = crate::sys::eventfd::create().unwrap();
        assert!(Charter::read(&open).unwrap_err().contains("no sealed file"));
        for (text, words) in [
            (&b""[..], "is cut"),
            (b"dumping=1", "is cut"),
            (b"dumping=1\0", "not one address"),
            (b"nonsense\0", "says `nonsense`"),
            (b"colour=red\0", "says `colour=red`"),
            (b"option=workers=many\0", "cannot be `many`"),
            (b"option=a_newer_one=1\0", "no option `a_newer_one`"),
            (b"port=http=main=ip=1.1.1.1:1\0", "says `port="),
            (b"port=tcp=main=ip=nowhere\0", "says `port="),
        ] {
            let file = sealed_file::create("test", text).unwrap();
            let problem = Charter::read(&file).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn the_master_has_the_last_word_where_it_has_one() {
        let mut charter = charter(&[("workers", "3"), ("max_requests", "5"), ("framing", "raw")]);
        let mut own = Options::default();
        for (name, value) in [
            ("workers", "4"),
            ("max_requests", "70"),
            ("framing", "raw"),
            ("port.admin.listen", "h:1"),
            ("port.admin.framing", "line"),
        ] {
            own.set(name, value).unwrap();
        }
        let waiting = charter.take_own(&own).unwrap();
        assert_eq!(charter.options.get("workers").as_deref(), Some("3"));
        assert_eq!(charter.options.get("max_requests").as_deref(), Some("70"));
        assert_eq!(charter.options.get("port.admin.listen"), None);
        assert!(waiting.starts_with("workers, "), "{waiting}");
        assert!(waiting.contains("port.admin.framing") && !waiting.contains("max_requests"));
        let same = charter.options.clone();
        assert_eq!(charter.take_own(&same).unwrap(), "");
    }
}
