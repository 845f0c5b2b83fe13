//! Options of a port that cannot have an effect there, because of what it listens for. Whoever sets
//! one believes that it has.
//!
//! An option that is set for all ports is told only when no port can use it: some may be for
//! others.

use std::net::{Ipv4Addr, Ipv6Addr};

use ostler_core::per_port::PerPort;

use super::ports::FIRST_PORT;
use super::setting::Access;
use super::validate::Contradiction;
use super::{ListenUrl, PortOptions, PortPlan, table};
use crate::options::info::OptionInfo;

/// What a port has to be for an option to have an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Any port.
    Nothing,
    /// One with connections.
    Connections,
    /// One whose listener the server opens itself.
    OwnListener,
    /// One with connections of TCP.
    Tcp,
    /// One at an address of IP.
    Ip,
    /// One at an address of IPv6.
    Ipv6,
    /// One with connections whose clients have addresses, or proxies that tell them.
    ClientAddresses,
    /// The same, or datagrams of IP.
    Addresses,
    /// The file of a unix socket.
    UnixPath,
    /// Connections of TCP, or datagrams.
    Buffers,
    /// An encrypted one.
    Tls,
}

/// What an option of a port needs. One that is not named here works everywhere.
fn needs(option: &str) -> Needs {
    match option {
        "ipv6_only" => Needs::Ipv6,
        "ip_tos" | "reuse_port" => Needs::Ip,
        "unix_mode" => Needs::UnixPath,
        "backlog" => Needs::OwnListener,
        "socket_receive_buffer" | "socket_send_buffer" => Needs::Buffers,
        "max_connections_per_address" | "connection_rate_per_address" => Needs::ClientAddresses,
        "package_rate_per_address" | "worker_deaths_per_address" => Needs::Addresses,
        "accept_rate"
        | "session_window"
        | "accept_confirm"
        | "discard_gone_packages"
        | "linger_timeout_ms"
        | "group_overflow"
        | "package_rate_max"
        | "receive_rate_max"
        | "idle_timeout_ms"
        | "silence_timeout_ms"
        | "first_package_timeout_ms"
        | "package_timeout_ms"
        | "receive_rate_min"
        | "receive_rate_grace_ms"
        | "send_stall_timeout_ms" => Needs::Connections,
        name if name.starts_with("tcp_") => Needs::Tcp,
        name if name.starts_with("tls_") => Needs::Tls,
        _ => Needs::Nothing,
    }
}

impl Needs {
    /// Whether a port is so. What is known only when the server starts may be.
    fn are_met_by(self, port: &PortOptions) -> bool {
        use ListenUrl as Url;
        let url = &port.listen;
        let host = match url {
            Url::Tcp(place) | Url::Tls(place) | Url::Udp(place) => Some(place.host.as_str()),
            _ => None,
        };
        let has_connections = !url.has_datagrams();
        let may_be_tcp = has_connections && !matches!(url, Url::Unix(_));
        match self {
            Self::Nothing => true,
            Self::Connections => has_connections,
            Self::OwnListener => has_connections && !url.is_inherited(),
            Self::Tcp => may_be_tcp,
            Self::Ip => host.is_some() || url.is_inherited(),
            // A name may have an address of either kind.
            Self::Ipv6 => host.is_some_and(|host| {
                host.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv4Addr>().is_err()
            }),
            Self::ClientAddresses => may_be_tcp || port.trusted_proxies().is_some(),
            Self::Addresses => {
                may_be_tcp || port.trusted_proxies().is_some() || matches!(url, Url::Udp(_))
            }
            Self::UnixPath => matches!(url, Url::Unix(_) | Url::Unixgram(_)),
            Self::Buffers => !matches!(url, Url::Unix(_)),
            Self::Tls => port.is_encrypted(),
        }
    }

    /// What is to be done about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Connections => "it is for connections, and this port has datagrams",
            Self::OwnListener => {
                "it is for connections to a listener that the server opens itself; that of systemd \
                 has its own (`Backlog=`)"
            }
            Self::Tcp => "it is for connections of TCP",
            Self::Ip => "it is for addresses of IP, and a unix socket has none",
            Self::Ipv6 => "it is for an address of IPv6, for example `[::]:9501`",
            Self::ClientAddresses | Self::Addresses => {
                "it counts addresses of clients: those of TCP, and those that a trusted proxy \
                 tells (`proxy_protocol`)"
            }
            Self::UnixPath => "it is for the file of a `unix://` or `unixgram://` socket",
            Self::Buffers => "the kernel sizes the buffers of a unix socket by itself",
            Self::Tls => "it is for encrypted ports: write `tls://` in front of the address",
        }
    }
}

/// What a port says itself, or what is said for all, and no port can use.
pub(super) fn without_effect(ports: &PerPort<PortPlan<'_>>) -> Vec<Contradiction> {
    let mut found = Vec::new();
    for info in table::rows().iter().filter(|info| info.is_of_port()) {
        let needs = needs(info.name);
        let is_idle =
            |port: &&PortPlan<'_>| !needs.are_met_by(port.options) && asks(info, port.options);
        let own = ports.iter().filter(|port| port.has_own(info.name)).filter(is_idle);
        found.extend(own.map(|port| told(info, needs, port)));
        let mut common = ports.iter().filter(|port| !port.has_own(info.name)).peekable();
        if let Some(first) = common.peek().copied()
            && common.all(|port| is_idle(&port))
        {
            found.push(told(info, needs, first));
        }
    }
    found
}

/// Whether an option asks for something: it has another value than it has by itself, and does not
/// only switch off what the port does not do anyway.
fn asks(info: &OptionInfo, port: &PortOptions) -> bool {
    let Access::Port(field) = info.access else { return false };
    let value = (field.get)(port);
    let is_off = matches!(value.as_str(), "false" | "0");
    !is_off && value != (field.get)(&PortOptions::default())
}

fn told(info: &'static OptionInfo, needs: Needs, port: &PortPlan<'_>) -> Contradiction {
    let (name, advice, url) = (info.name, needs.advice(), &port.options.listen);
    let whose = match port.name {
        FIRST_PORT => String::new(),
        name => format!("port `{name}`: "),
    };
    let text = format!("{whose}`{name}` has no effect at {url}: {advice}; leave it out there");
    Contradiction { names: std::slice::from_ref(&info.name), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    /// A port of each kind, and the options that nobody can use there.
    const KINDS: [(&str, &[&str]); 9] = [
        ("tcp://127.0.0.1:0", &["ipv6_only", "unix_mode", "tls_alpn"]),
        ("tcp://[::1]:0", &["unix_mode", "tls_alpn"]),
        ("tcp://localhost:0", &["unix_mode", "tls_alpn"]),
        ("tls://127.0.0.1:0", &["ipv6_only", "unix_mode"]),
        ("udp://127.0.0.1:0", OF_DATAGRAMS),
        ("udp://[::]:0", OF_DATAGRAMS_V6),
        ("unix:///tmp/a", OF_UNIX),
        ("unixgram:///tmp/a", OF_UNIXGRAM),
        ("fd://web", &["ipv6_only", "unix_mode", "backlog", "tls_alpn"]),
    ];
    const OF_DATAGRAMS: &[&str] = &[
        "ipv6_only",
        "unix_mode",
        "backlog",
        "tls_alpn",
        "tcp_fastopen",
        "accept_rate",
        "max_connections_per_address",
        "idle_timeout_ms",
        "session_window",
    ];
    // All but the first.
    const OF_DATAGRAMS_V6: &[&str] = OF_DATAGRAMS.split_at(1).1;
    const OF_UNIX: &[&str] = &[
        "ipv6_only",
        "ip_tos",
        "reuse_port",
        "tls_alpn",
        "tcp_fastopen",
        "max_connections_per_address",
        "package_rate_per_address",
        "socket_send_buffer",
    ];
    const OF_UNIXGRAM: &[&str] = &[
        "ipv6_only",
        "ip_tos",
        "reuse_port",
        "backlog",
        "tls_alpn",
        "tcp_fastopen",
        "accept_rate",
        "max_connections_per_address",
        "package_rate_per_address",
        "idle_timeout_ms",
        "session_window",
    ];
    /// A value for each of them that it does not have by itself.
    const VALUES: [(&str, &str); 14] = [
        ("ipv6_only", "on"),
        ("ip_tos", "32"),
        ("reuse_port", "on"),
        ("unix_mode", "0666"),
        ("backlog", "7"),
        ("tls_alpn", "h2"),
        ("tcp_fastopen", "7"),
        ("accept_rate", "7"),
        ("max_connections_per_address", "7"),
        ("package_rate_per_address", "7"),
        ("idle_timeout_ms", "7s"),
        ("session_window", "7"),
        ("socket_send_buffer", "32K"),
        ("max_send_bytes", "32K"),
    ];

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (name, value) in pairs {
            options.set(name, value).unwrap();
        }
        options
    }

    fn told(pairs: &[(&str, &str)]) -> Vec<String> {
        let options = options(pairs);
        without_effect(&options.ports()).into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn options_that_cannot_have_an_effect_at_a_port_are_told() {
        for (url, without) in KINDS {
            for (name, value) in VALUES {
                let own = format!("port.a.{name}");
                let found = told(&[("port.a.listen", url), (&own, value)]);
                let expected = usize::from(without.contains(&name));
                assert_eq!(found.len(), expected, "{url} {name}: {found:?}");
                for text in found {
                    let words = format!("port `a`: `{name}` has no effect at {url}: ");
                    assert!(text.starts_with(&words), "{text}");
                }
                // The only port, and what is said for all.
                let found = told(&[("listen", url), (name, value)]);
                assert_eq!(found.len(), expected, "{url} {name}: {found:?}");
            }
        }
    }

    #[test]
    fn options_of_all_ports_are_told_when_no_port_can_use_them() {
        let both = [("port.a.listen", "127.0.0.1:0"), ("port.b.listen", "[::1]:0")];
        let with = |more: &[(&str, &str)]| told(&[&both[..], more].concat());
        assert_eq!(with(&[("ipv6_only", "on")]), [""; 0], "b uses it");
        assert_eq!(with(&[("port.a.ipv6_only", "on")]).len(), 1, "a cannot");
        assert_eq!(with(&[("port.b.ipv6_only", "on")]), [""; 0]);
        let of_others = with(&[("ipv6_only", "on"), ("port.b.ipv6_only", "off")]);
        assert_eq!(of_others.len(), 1, "who could use it says something else: {of_others:?}");
        assert_eq!(with(&[("unix_mode", "0666")]).len(), 1);
        assert_eq!(with(&[("port.a.ipv6_only", "off")]), [""; 0], "as it is by itself");
        let off = [("listen", "unix:///tmp/a"), ("tcp_keepalive", "off"), ("tcp_nodelay", "off")];
        assert_eq!(told(&off), [""; 0], "what is not there may be switched off");
    }

    #[test]
    fn options_that_proxies_give_an_effect_are_not_told() {
        let limit = ("max_connections_per_address", "7");
        let proxied = [("proxy_protocol", "required"), ("proxy_protocol_from", "unix")];
        assert_eq!(told(&[("listen", "unix:///tmp/a"), limit]).len(), 1);
        let pairs = [("listen", "unix:///tmp/a"), limit, proxied[0], proxied[1]];
        assert_eq!(told(&pairs), [""; 0]);
    }

    #[test]
    fn a_server_with_an_option_without_effect_is_refused() {
        let text = options(&[("ipv6_only", "on")]).validate().unwrap_err().to_string();
        assert!(text.contains("`ipv6_only` has no effect at tcp://127.0.0.1:9501"), "{text}");
        assert!(text.contains("leave it out there"), "{text}");
    }
}
