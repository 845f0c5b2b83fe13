//! What the options say about proxies in front of a port: whether they tell whose connections they
//! forward, and who is trusted to tell it.

use std::net::IpAddr;

use ostler_core::networks::{Network, NetworkError};
use ostler_core::per_port::PerPort;
use ostler_shm::sessions::Peer;

use super::info::Kind;
use super::setting::{Problem, Setting};
use super::validate::Contradiction;
use super::{ListenUrl, PortOptions, PortPlan, shown};

/// Whether the connections of a port begin with a header of the PROXY protocol.
///
/// There is no *if there is one*: a client that connects itself could then write a header with
/// whatever address it likes, and the specification forbids to guess.
///
/// ```
/// use ostler::{ProxyProtocol, Server};
///
/// let builder = Server::builder()
///     .listen("0.0.0.0:9501")
///     .proxy_protocol(ProxyProtocol::Required)
///     .proxy_protocol_from("10.0.0.0/8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// They do not: clients connect themselves.
    Off,
    /// Each does, version 1 or 2, and comes from a proxy that is trusted.
    Required,
}

/// Who is trusted to say whose connections it forwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    networks: Vec<Network>,
    /// Whoever may connect to the port's unix socket.
    unix: bool,
}

/// Most networks: more than a load balancer of a big provider has, few enough to look through them
/// for each connection.
const NETWORKS_MAX: usize = 256;
/// Stands for whoever may connect to a unix socket.
const UNIX: &str = "unix";

impl Proxies {
    /// Those of this machine.
    #[cfg(test)]
    pub(crate) fn local() -> Self {
        Self::parse(Kind::Networks, "127.0.0.0/8,unix").unwrap_or_default()
    }

    /// Whether a connection from there may have a header.
    pub(crate) fn trusts(&self, peer: Peer) -> bool {
        match peer.ip() {
            Some(ip) => self.trusts_address(ip),
            None => self.unix,
        }
    }

    fn trusts_address(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(ip))
    }

    const fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }
}

impl Setting for Proxies {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        let mut proxies = Self::default();
        for word in text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty()) {
            if word == UNIX {
                proxies.unix = true;
                continue;
            }
            let network = word.parse().map_err(|error| no_network(word, error))?;
            if !proxies.networks.contains(&network) {
                proxies.networks.push(network);
            }
        }
        if proxies.networks.len() > NETWORKS_MAX {
            return Err(format!("it has at most {NETWORKS_MAX} networks"));
        }
        Ok(proxies)
    }

    fn render(&self) -> String {
        let networks = self.networks.iter().map(ToString::to_string);
        let unix = self.unix.then(|| UNIX.to_owned());
        networks.chain(unix).collect::<Vec<_>>().join(",")
    }
}

fn no_network(word: &str, error: NetworkError) -> Problem {
    let word = shown(word);
    match error {
        NetworkError::Address => format!(
            "`{word}` is no address: write IPv4 or IPv6 addresses, networks like `10.0.0.0/8`, or \
             `unix` for whoever may connect to a unix socket"
        ),
        NetworkError::Bits { most } => {
            format!("behind the `/` of `{word}` stands a number of bits, 0 to {most}")
        }
        NetworkError::Rest(meant) => {
            format!("`{word}` has more bits than count: did you mean `{meant}`?")
        }
    }
}

impl PortOptions {
    /// Who is trusted to say whose connections it forwards, if that is to be said.
    pub(crate) fn trusted_proxies(&self) -> Option<&Proxies> {
        match self.proxy_protocol {
            ProxyProtocol::Off => None,
            ProxyProtocol::Required => Some(&self.proxy_protocol_from),
        }
    }
}

const NAMES: &[&str] = &["proxy_protocol", "proxy_protocol_from"];

/// A port that nobody could connect to.
pub(super) fn nobody_trusted(port: &PortOptions) -> Option<Contradiction> {
    let proxies = port.trusted_proxies()?;
    let text = match &port.listen {
        ListenUrl::Udp(_) | ListenUrl::Unixgram(_) => {
            "`proxy_protocol` is for connections, and this port has datagrams: set it to off there"
        }
        _ if proxies.is_empty() => {
            "`proxy_protocol = required` needs `proxy_protocol_from`, the addresses or networks of \
             the proxies that are trusted, for example `10.0.0.0/8`"
        }
        ListenUrl::Unix(_) if !proxies.unix => {
            "`proxy_protocol_from` names no proxy that could connect to a unix socket: add `unix` \
             to it"
        }
        ListenUrl::Tcp(_) | ListenUrl::Tls(_) if proxies.networks.is_empty() => {
            "`proxy_protocol_from` has no address of a proxy: add the addresses or networks of \
             those that are trusted"
        }
        _ => return None,
    };
    Some(Contradiction { names: NAMES, text: text.to_owned() })
}

/// Proxies that would not be asked: whoever names them believes that they are.
pub(super) fn not_asked(ports: &PerPort<PortPlan<'_>>) -> Option<Contradiction> {
    let is_set = ports.iter().any(|port| !port.options.proxy_protocol_from.is_empty());
    let is_asked = ports.iter().any(|port| port.options.trusted_proxies().is_some());
    (is_set && !is_asked).then(|| Contradiction {
        names: NAMES,
        text: "`proxy_protocol_from` is set and `proxy_protocol` is off at every port: set it to \
               `required`"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    fn parse(text: &str) -> Result<Proxies, Problem> {
        Proxies::parse(Kind::Networks, text)
    }

    #[test]
    fn options_proxies_are_read_back_as_they_are_spelled() {
        let proxies = parse(" 10.0.0.0/8, unix 2001:db8::/32,,127.0.0.1/32 10.0.0.0/8").unwrap();
        assert_eq!(proxies.render(), "10.0.0.0/8,2001:db8::/32,127.0.0.1,unix");
        assert_eq!(parse(&proxies.render()), Ok(proxies.clone()));
        let peer = |text: &str| Peer::Ip(text.parse().unwrap());
        assert!(proxies.trusts(peer("10.1.2.3:4")) && proxies.trusts(peer("[::ffff:10.1.2.3]:4")));
        assert!(!proxies.trusts(peer("11.1.2.3:4")) && !proxies.trusts(peer("[::1]:4")));
        let unix = Peer::Unix(ostler_shm::sessions::UnixPeer { pid: 1, uid: 0, gid: 0 });
        assert!(proxies.trusts(unix) && !parse("0.0.0.0/0").unwrap().trusts(unix));
        assert!(!Proxies::default().trusts(peer("10.1.2.3:4")));
    }

    #[test]
    fn options_proxies_that_are_none_are_refused_with_what_to_write() {
        for (text, advice) in [
            ("proxy.example", "`proxy.example` is no address: write"),
            ("10.0.0.0/33", "a number of bits, 0 to 32"),
            ("10.1.2.3/8", "did you mean `10.0.0.0/8`?"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(advice), "{text}: {problem}");
        }
        let many: Vec<String> = (0..257).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
        assert!(parse(&many.join(",")).unwrap_err().contains("at most 256"));
    }

    #[test]
    fn options_proxies_that_nobody_is_or_nobody_asks_are_told() {
        let required = ("proxy_protocol", "required");
        for (pairs, words) in [
            (&[required][..], "needs `proxy_protocol_from`"),
            (&[("proxy_protocol_from", "::1")], "off at every port"),
            (&[required, ("proxy_protocol_from", "unix")], "has no address of a proxy"),
            (
                &[required, ("proxy_protocol_from", "::1"), ("listen", "unix:///run/s")],
                "add `unix`",
            ),
            (
                &[required, ("proxy_protocol_from", "::1"), ("listen", "udp://[::1]:1")],
                "this port has datagrams",
            ),
        ] {
            let mut options = Options::default();
            pairs.iter().for_each(|(name, value)| options.set(name, value).unwrap());
            let text = options.validate().unwrap_err().to_string();
            assert!(text.contains(words), "{words} is not in: {text}");
        }
        let mut good = Options::default();
        for (name, value) in [
            ("proxy_protocol_from", "::1 unix"),
            ("port.a.listen", "unix:///run/s"),
            ("port.a.proxy_protocol", "required"),
            ("port.b.listen", "udp://[::1]:1"),
        ] {
            good.set(name, value).unwrap();
        }
        good.validate().unwrap();
    }
}
