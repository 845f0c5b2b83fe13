//! Where a port listens: one URL, taken apart and put together again. Pure.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::info::Kind;
use super::setting::{Problem, Setting};
use super::{nearest_of, shown};

/// A host name has at most 253 bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
/// `sun_path` has 108 bytes, of which the last is a zero.
pub(crate) const UNIX_PATH_BYTES_MAX: usize = 107;
/// The name of an inherited descriptor has at most so many (sd_listen_fds(3)).
const DESCRIPTOR_NAME_BYTES_MAX: usize = 255;

const SCHEMES: [&str; 7] = ["tcp", "tls", "udp", "unix", "unixgram", "fd", "fd+tls"];
const FORM: &str = "it is HOST:PORT or a URL, for example `127.0.0.1:9501`, `tcp://0.0.0.0:9501`, \
    `tcp://[::1]:9501`, `tcp://localhost:9501` or `unix:///run/chat.sock`";
const UNIX_FORM: &str = "behind `unix://` stands an absolute path, for example \
    `unix:///run/chat.sock`";

/// Where a port listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenUrl {
    /// `tcp://HOST:PORT`, or `HOST:PORT`.
    Tcp(HostPort),
    /// `tls://HOST:PORT`.
    Tls(HostPort),
    /// `udp://HOST:PORT`.
    Udp(HostPort),
    /// `unix:///PATH`: a stream of bytes.
    Unix(PathBuf),
    /// `unixgram:///PATH`: datagrams.
    Unixgram(PathBuf),
    /// `fd://NAME`: a listener that the program was started with.
    Inherited(String),
    /// `fd+tls://NAME`: the same, encrypted.
    InheritedTls(String),
}

/// A host and a port number; 0 lets the kernel choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl HostPort {
    fn parse(text: &str) -> Result<Self, Problem> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| FORM.to_owned())?;
        if host.is_empty() || host == "*" {
            return Err(format!(
                "it names no host: for all addresses of this machine write `0.0.0.0:{0}` (IPv4) or \
                 `[::]:{0}`",
                shown(port)
            ));
        }
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM.to_owned());
        }
        let Ok(port) = port.parse() else {
            return Err("the port is 0 (the kernel chooses) to 65535; the nearest valid value is \
                        65535"
                .to_owned());
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host.parse::<Ipv6Addr>().map(|_| host).map_err(|_| FORM.to_owned())?,
            None if host.parse::<Ipv6Addr>().is_ok() => {
                return Err(format!("an IPv6 address stands in brackets: write `[{host}]:{port}`"));
            }
            None => host_name(host)?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A name or an IPv4 address. Numbers alone would be read as an odd form of the latter.
fn host_name(host: &str) -> Result<&str, Problem> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let looks_like_v4 = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let good = host.len() <= HOST_BYTES_MAX
        && host.bytes().all(letters)
        && (!looks_like_v4 || host.parse::<Ipv4Addr>().is_ok());
    if good { Ok(host) } else { Err(FORM.to_owned()) }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(_) => write!(f, "[{}]:{}", self.host, self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl ListenUrl {
    /// Takes a URL apart. Only its form is checked: a host name is resolved, and a path is looked
    /// at, when the server starts.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text.split_once(":/") {
                Some((scheme, _)) if SCHEMES.contains(&scheme) => {
                    Err(format!("behind `{scheme}:` stand two slashes; {FORM}"))
                }
                _ if text.starts_with('/') => Err(format!("write `unix://{}`", shown(text))),
                _ => HostPort::parse(text).map(Self::Tcp),
            };
        };
        match scheme {
            "tcp" => HostPort::parse(no_path(rest)?).map(Self::Tcp),
            "tls" => HostPort::parse(no_path(rest)?).map(Self::Tls),
            "udp" => HostPort::parse(no_path(rest)?).map(Self::Udp),
            "unix" => unix_path(rest).map(Self::Unix),
            "unixgram" => unix_path(rest).map(Self::Unixgram),
            "fd" => descriptor_name(rest).map(Self::Inherited),
            "fd+tls" => descriptor_name(rest).map(Self::InheritedTls),
            _ => Err(unknown_scheme(scheme)),
        }
    }

    /// What stands before `://`.
    pub(crate) const fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Udp(_) => "udp",
            Self::Unix(_) => "unix",
            Self::Unixgram(_) => "unixgram",
            Self::Inherited(_) => "fd",
            Self::InheritedTls(_) => "fd+tls",
        }
    }

    /// Whether what listens there was opened by somebody else.
    pub(crate) const fn is_inherited(&self) -> bool {
        matches!(self, Self::Inherited(_) | Self::InheritedTls(_))
    }

    /// Whether what comes there is encrypted.
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::InheritedTls(_))
    }

    /// Whether datagrams come there, and no connections.
    pub(crate) const fn has_datagrams(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::Unixgram(_))
    }

    /// Whether two ports cannot both listen, because they are at one place. A port number of 0 is
    /// another one each time.
    pub(super) fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            // A datagram and a stream may have the same number.
            (Self::Tcp(one) | Self::Tls(one), Self::Tcp(other) | Self::Tls(other))
            | (Self::Udp(one), Self::Udp(other)) => one == other && one.port != 0,
            (Self::Unix(one) | Self::Unixgram(one), Self::Unix(other) | Self::Unixgram(other)) => {
                one == other
            }
            (
                Self::Inherited(one) | Self::InheritedTls(one),
                Self::Inherited(other) | Self::InheritedTls(other),
            ) => one == other,
            _ => false,
        }
    }
}

fn no_path(rest: &str) -> Result<&str, Problem> {
    let address = rest.strip_suffix('/').unwrap_or(rest);
    if address.contains('/') || address.contains('@') || address.contains('?') {
        return Err(format!("only HOST:PORT stands behind the scheme; {FORM}"));
    }
    Ok(address)
}

fn unix_path(rest: &str) -> Result<PathBuf, Problem> {
    if !rest.starts_with('/') || rest.ends_with('/') || rest.chars().any(char::is_control) {
        return Err(UNIX_FORM.to_owned());
    }
    if rest.len() > UNIX_PATH_BYTES_MAX {
        return Err(format!(
            "the path of a unix socket has at most {UNIX_PATH_BYTES_MAX} bytes, this one has {}: \
             choose a shorter directory, for example /run",
            rest.len()
        ));
    }
    Ok(Path::new(rest).to_owned())
}

fn descriptor_name(rest: &str) -> Result<String, Problem> {
    let good = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b'/';
    if rest.is_empty() || rest.len() > DESCRIPTOR_NAME_BYTES_MAX || !rest.bytes().all(good) {
        return Err("behind `fd://` stands the name of a descriptor \
                    (`FileDescriptorName=` of the systemd socket unit) or its number, for example \
                    `fd://chat` or `fd://3`"
            .to_owned());
    }
    Ok(rest.to_owned())
}

fn unknown_scheme(scheme: &str) -> Problem {
    match nearest_of(&scheme.to_ascii_lowercase(), SCHEMES) {
        Some(near) => format!("there is no `{}://`: did you mean `{near}://`?", shown(scheme)),
        None => format!("there is no `{}://`; {FORM}", shown(scheme)),
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        match self {
            Self::Tcp(address) | Self::Tls(address) | Self::Udp(address) => address.fmt(f),
            Self::Unix(path) | Self::Unixgram(path) => path.display().fmt(f),
            Self::Inherited(name) | Self::InheritedTls(name) => f.write_str(name),
        }
    }
}

impl Setting for ListenUrl {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        Self::parse(text)
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> Problem {
        match ListenUrl::parse(text) {
            Err(problem) => problem,
            Ok(url) => panic!("{text} was taken for {url:?}"),
        }
    }

    #[test]
    fn options_listen_takes_addresses_names_and_urls() {
        for (text, url) in [
            ("127.0.0.1:9501", "tcp://127.0.0.1:9501"),
            (" 0.0.0.0:0 ", "tcp://0.0.0.0:0"),
            ("[::1]:80", "tcp://[::1]:80"),
            ("localhost:65535", "tcp://localhost:65535"),
            ("tcp://my-host.example:1/", "tcp://my-host.example:1"),
            ("tls://[::]:443", "tls://[::]:443"),
            ("udp://10.0.0.1:53", "udp://10.0.0.1:53"),
            ("unix:///run/a b,c.sock", "unix:///run/a b,c.sock"),
            ("unixgram:///run/log", "unixgram:///run/log"),
            ("fd://chat.socket", "fd://chat.socket"),
            ("fd://3", "fd://3"),
            ("fd+tls://web", "fd+tls://web"),
        ] {
            assert_eq!(ListenUrl::parse(text).unwrap().to_string(), url);
        }
    }

    #[test]
    fn options_listen_refuses_half_an_address_and_says_what_to_write() {
        for (text, advice) in [
            ("", "HOST:PORT"),
            ("9501", "HOST:PORT"),
            ("127.0.0.1", "HOST:PORT"),
            ("127.0.0.1:", "HOST:PORT"),
            ("256.0.0.1:1", "HOST:PORT"),
            ("a b:1", "HOST:PORT"),
            ("[::1]", "HOST:PORT"),
            ("h:+1", "HOST:PORT"),
            ("::1:80", "`[::1]:80`"),
            (":9501", "`0.0.0.0:9501`"),
            ("*:1", "`[::]:1`"),
            ("tcp://*:1", "`[::]:1`"),
            ("h:65536", "nearest valid value is 65535"),
            ("tcp://h:1/path", "only HOST:PORT"),
            ("tcp://me@h:1", "only HOST:PORT"),
            ("tcp:/h:1", "two slashes"),
            ("/run/chat.sock", "`unix:///run/chat.sock`"),
            ("unix://run/chat.sock", "absolute path"),
            ("unix:///run/", "absolute path"),
            ("tpc://h:1", "did you mean `tcp://`"),
            ("gopher://h:1", "there is no `gopher://`"),
            ("fd://", "FileDescriptorName="),
            ("fd://a:b", "FileDescriptorName="),
        ] {
            let problem = problem(text);
            assert!(problem.contains(advice), "{text}: {problem}");
        }
    }

    #[test]
    fn options_unix_paths_end_where_the_kernel_has_no_room() {
        let path = |len: usize| format!("unix:///{}", "x".repeat(len - 1));
        assert!(ListenUrl::parse(&path(107)).is_ok());
        let problem = problem(&path(108));
        assert!(problem.contains("at most 107 bytes, this one has 108"), "{problem}");
    }

    #[test]
    fn options_ports_collide_at_one_place_only() {
        let collide = |one: &str, other: &str| {
            let urls = [one, other].map(|text| ListenUrl::parse(text).unwrap());
            urls[0].collides_with(&urls[1])
        };
        assert!(collide("tcp://h:1", "tls://h:1"));
        assert!(collide("unix:///a", "unixgram:///a"));
        assert!(collide("fd://a", "fd://a") && collide("fd://a", "fd+tls://a"));
        assert!(!collide("tcp://h:0", "tcp://h:0"), "the kernel chooses two");
        assert!(!collide("tcp://h:1", "udp://h:1"));
        assert!(!collide("tcp://h:1", "tcp://h:2"));
        assert!(!collide("unix:///a", "unix:///b"));
    }

    proptest! {
        #[test]
        fn options_urls_never_panic_and_what_is_taken_is_spelled_so_that_it_is_read_back(
            text in prop_oneof![
                any::<String>(),
                concat!(
                    "(tcp|tls|udp|unix|unixgram|fd([+]tls)?|[a-z]{0,4})",
                    "(:/{0,3})[\\[\\]a-z0-9.:/@*-]{0,30}"
                ),
                "(tcp://)?[a-z0-9.-]{1,20}:[0-9]{1,5}",
            ]
        ) {
            match ListenUrl::parse(&text) {
                Ok(url) => {
                    let spelled = url.to_string();
                    prop_assert_eq!(ListenUrl::parse(&spelled).unwrap(), url);
                }
                Err(problem) => prop_assert!(!problem.is_empty() && !problem.contains('\n')),
            }
        }
    }
}
