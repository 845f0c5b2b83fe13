//! Sockets: what accepted connections inherit, as the kernel tells it of the master's descriptors.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

use ostler_testkit::{TestError, TestResult, TestServer};
use rustix::net::{SocketType, getpeername, getsockname, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::Effect;

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("tcp_nodelay", tcp_nodelay_is_set_on_accepted_sockets),
    ("tcp_keepalive", tcp_keepalive_is_on_unless_it_is_switched_off),
    ("tcp_keepalive_idle", tcp_keepalive_times_are_those_of_the_options),
    ("tcp_keepalive_interval", tcp_keepalive_times_are_those_of_the_options),
    ("tcp_keepalive_count", tcp_keepalive_times_are_those_of_the_options),
    ("tcp_user_timeout_ms", tcp_user_timeout_is_set_unless_it_is_zero),
    ("tcp_defer_accept", tcp_defer_accept_waits_for_the_first_bytes),
    ("tcp_fastopen", tcp_fastopen_has_a_queue_of_the_length_that_is_set),
    ("tcp_notsent_lowat", tcp_notsent_lowat_is_inherited),
    ("socket_receive_buffer", socket_buffers_have_the_size_that_is_set),
    ("socket_send_buffer", socket_buffers_have_the_size_that_is_set),
    ("socket_receive_buffer", socket_buffers_of_datagram_ports_have_the_size_that_is_set),
    ("ipv6_only", ipv6_only_keeps_clients_of_ipv4_out),
    ("ip_tos", ip_tos_marks_what_is_sent),
    ("ip_tos", ip_tos_marks_datagrams),
    ("reuse_port", reuse_port_lets_another_server_listen),
    ("reuse_port", reuse_port_is_for_datagrams_too),
];

/// A server with these options, whose descriptors this process may look at.
fn server(options: &[(&str, &str)]) -> TestResult<TestServer> {
    let builder = TestServer::echo().set("harden", "off");
    options.iter().fold(builder, |builder, (name, value)| builder.set(name, value)).start()
}

/// The first descriptor of the master for which this holds.
fn descriptor(server: &TestServer, is_it: impl Fn(&OwnedFd) -> bool) -> TestResult<OwnedFd> {
    let pid = i32::try_from(server.master().pid()).ok().and_then(Pid::from_raw).expect("a pid");
    let master = pidfd_open(pid, PidfdFlags::empty())?;
    let mut all = (3..200).filter_map(|number| {
        pidfd_getfd(&master, number, PidfdGetfdFlags::empty()).ok().filter(&is_it)
    });
    Ok(all.next().expect("the master has it"))
}

/// What the master has of a client that was served.
fn accepted(server: &TestServer) -> TestResult<OwnedFd> {
    let mut client = server.connect()?;
    client.send(b"x")?;
    client.expect(b"x")?;
    let own = client.local_address()?;
    descriptor(server, |socket| {
        let peer = getpeername(socket).ok().flatten();
        peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(own)
    })
}

fn listener(server: &TestServer) -> TestResult<OwnedFd> {
    descriptor(server, |socket| {
        let address = getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
        address == Some(server.address()) && sockopt::socket_acceptconn(socket).unwrap_or(false)
    })
}

/// A number that TCP tells of a socket.
fn tcp(socket: &OwnedFd, name: nix::libc::c_int) -> i32 {
    let (mut value, mut len) = (0_i32, 4);
    // SAFETY: the descriptor is open, and both pointers are to numbers of the lengths that they
    // say.
    #[allow(unsafe_code)]
    let result = unsafe {
        nix::libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            nix::libc::IPPROTO_TCP,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    assert_eq!((result, len), (0, 4));
    value
}

#[test]
fn tcp_nodelay_is_set_on_accepted_sockets() -> TestResult {
    for wanted in [true, false] {
        let server = server(&[("tcp_nodelay", &wanted.to_string())])?;
        assert_eq!(sockopt::tcp_nodelay(accepted(&server)?)?, wanted);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tcp_keepalive_is_on_unless_it_is_switched_off() -> TestResult {
    for (options, wanted) in [(&[][..], true), (&[("tcp_keepalive", "off")], false)] {
        let server = server(options)?;
        assert_eq!(sockopt::socket_keepalive(accepted(&server)?)?, wanted);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tcp_keepalive_times_are_those_of_the_options() -> TestResult {
    let others = [
        ("tcp_keepalive_idle", "7"),
        ("tcp_keepalive_interval", "3"),
        ("tcp_keepalive_count", "2"),
    ];
    for (options, wanted) in [(&[][..], (60, 15, 4)), (&others, (7, 3, 2))] {
        let server = server(options)?;
        let socket = accepted(&server)?;
        let (idle, interval) = (sockopt::tcp_keepidle(&socket)?, sockopt::tcp_keepintvl(&socket)?);
        let count = sockopt::tcp_keepcnt(&socket)?;
        assert_eq!((idle.as_secs(), interval.as_secs(), count), wanted);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tcp_user_timeout_is_set_unless_it_is_zero() -> TestResult {
    let cases = [(&[][..], 120_000), (&[("tcp_user_timeout_ms", "5s")], 5_000)];
    for (options, wanted) in cases.into_iter().chain([(&[("tcp_user_timeout_ms", "0")][..], 0)]) {
        let server = server(options)?;
        assert_eq!(sockopt::tcp_user_timeout(accepted(&server)?)?, wanted);
        server.stop()?;
    }
    Ok(())
}

/// A client that says nothing is not accepted, so that a worker does not hear of it; one that has
/// spoken is.
#[test]
fn tcp_defer_accept_waits_for_the_first_bytes() -> TestResult {
    let server = server(&[("tcp_defer_accept", "60"), ("session_ids", "sequential")])?;
    let mut silent = TcpStream::connect(server.address())?;
    let socket = accepted(&server)?; // of a client that came later
    let has =
        |own: SocketAddr| descriptor_of(&server, own).is_ok_and(|descriptor| descriptor.is_some());
    assert!(!has(silent.local_addr()?), "accepted before it has said anything");
    silent.write_all(b"now")?;
    let own = silent.local_addr()?;
    server.wait_for("a client that has spoken to be accepted", |_| has(own))?;
    drop((socket, silent));
    server.stop()
}

fn descriptor_of(server: &TestServer, client: SocketAddr) -> TestResult<Option<OwnedFd>> {
    let pid = i32::try_from(server.master().pid()).ok().and_then(Pid::from_raw).expect("a pid");
    let master = pidfd_open(pid, PidfdFlags::empty())?;
    Ok((3..200).find_map(|number| {
        let socket = pidfd_getfd(&master, number, PidfdGetfdFlags::empty()).ok()?;
        let peer = SocketAddr::try_from(getpeername(&socket).ok()??).ok()?;
        (peer == client).then_some(socket)
    }))
}

#[test]
fn tcp_fastopen_has_a_queue_of_the_length_that_is_set() -> TestResult {
    for queue in [0, 17] {
        let server = server(&[("tcp_fastopen", &queue.to_string())])?;
        assert_eq!(tcp(&listener(&server)?, nix::libc::TCP_FASTOPEN), queue);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn tcp_notsent_lowat_is_inherited() -> TestResult {
    let server = server(&[("tcp_notsent_lowat", "32K")])?;
    assert_eq!(tcp(&accepted(&server)?, nix::libc::TCP_NOTSENT_LOWAT), 32 * 1024);
    server.stop()?;
    let server = self::server(&[])?;
    assert_ne!(tcp(&accepted(&server)?, nix::libc::TCP_NOTSENT_LOWAT), 32 * 1024);
    server.stop()
}

#[test]
fn socket_buffers_have_the_size_that_is_set() -> TestResult {
    let server = server(&[("socket_receive_buffer", "16K"), ("socket_send_buffer", "24K")])?;
    let socket = accepted(&server)?;
    // The kernel doubles what it is asked for.
    assert_eq!(sockopt::socket_recv_buffer_size(&socket)?, 32 * 1024);
    assert_eq!(sockopt::socket_send_buffer_size(&socket)?, 48 * 1024);
    server.stop()?;
    let server = self::server(&[])?;
    let socket = accepted(&server)?;
    assert_ne!(sockopt::socket_recv_buffer_size(&socket)?, 32 * 1024);
    assert_ne!(sockopt::socket_send_buffer_size(&socket)?, 48 * 1024);
    server.stop()
}

#[test]
fn ip_tos_marks_what_is_sent() -> TestResult {
    for wanted in [0, 0x20] {
        let server = server(&[("ip_tos", &wanted.to_string())])?;
        assert_eq!(sockopt::ip_tos(accepted(&server)?)?, wanted);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn ip_tos_marks_datagrams() -> TestResult {
    for (mode, wanted) in [("process", 0), ("process", 0x20), ("base", 0x20)] {
        let port = format!("dgram=udp://127.0.0.1:0,ip_tos={wanted}");
        let server = TestServer::echo().set("harden", "off").set("mode", mode);
        let server = server.args(["--port", &port]).start()?;
        let address = datagram_address(&server)?;
        let socket = descriptor(&server, |socket| {
            let own = getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
            own == Some(address) && sockopt::socket_type(socket).ok() == Some(SocketType::DGRAM)
        })?;
        assert_eq!(sockopt::ip_tos(&socket)?, wanted, "{mode}");
        server.stop()?;
    }
    Ok(())
}

fn datagram_address(server: &TestServer) -> TestResult<SocketAddr> {
    let url = server.port_url("dgram")?;
    let address = url.rsplit('/').next().and_then(|address| address.parse().ok());
    address.ok_or_else(|| TestError::new(format!("no address: {url}")))
}

#[test]
fn reuse_port_is_for_datagrams_too() -> TestResult {
    let with = |url: &str| {
        let port = format!("dgram={url},reuse_port=on");
        TestServer::echo().args(["--port", &port]).start()
    };
    let server = with("udp://127.0.0.1:0")?;
    let other = with(&server.port_url("dgram")?)?;
    assert_eq!(datagram_address(&other)?, datagram_address(&server)?);
    let alone = format!("dgram={}", server.port_url("dgram")?);
    let refused = TestServer::echo().args(["--port", &alone]).start_expecting_failure()?;
    assert_eq!(refused.0, 3, "who does not want to share cannot: {}", refused.1);
    other.stop()?;
    server.stop()
}

#[test]
fn socket_buffers_of_datagram_ports_have_the_size_that_is_set() -> TestResult {
    let place = std::env::temp_dir().join(format!("buffers-{}", std::process::id()));
    for (mode, url) in [
        ("process", "udp://127.0.0.1:0".to_owned()),
        ("base", "udp://127.0.0.1:0".to_owned()),
        ("process", format!("unixgram://{}", place.display())),
    ] {
        let options = "socket_receive_buffer=16K,socket_send_buffer=24K";
        let port = format!("dgram={url},{options}");
        let server = TestServer::echo().set("harden", "off").set("mode", mode);
        let server = server.args(["--port", &port]).start()?;
        let socket = descriptor(&server, |socket| {
            let kind = sockopt::socket_type(socket).ok();
            let is_port = sockopt::socket_recv_buffer_size(socket).ok() == Some(32 * 1024);
            kind == Some(SocketType::DGRAM) && is_port
        })?;
        assert_eq!(sockopt::socket_send_buffer_size(&socket)?, 48 * 1024, "{mode} {url}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn ipv6_only_keeps_clients_of_ipv4_out() -> TestResult {
    if UdpSocket::bind("[::1]:0").is_err() {
        return Ok(()); // a machine without IPv6
    }
    for only in [false, true] {
        let server = TestServer::echo().set("listen", "[::]:0").set("ipv6_only", only);
        let port = format!("dgram=udp://[::]:0,ipv6_only={only}");
        let server = server.args(["--port", &port]).start()?;
        let port = server.address().port();
        let by = |host: &str| TcpStream::connect((host, port)).is_ok();
        assert_eq!((by("::1"), by("127.0.0.1")), (true, !only));
        let url = server.port_url("dgram")?;
        let port = url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        for (own, host, is_served) in
            [("[::1]:0", "::1", true), ("127.0.0.1:0", "127.0.0.1", !only)]
        {
            let peer = UdpSocket::bind(own)?;
            peer.set_read_timeout(Some(Duration::from_secs(10)))?;
            peer.connect((host, port.expect("a port")))?;
            peer.send(b"x")?;
            // The kernel says at once that nobody is there.
            assert_eq!(peer.recv(&mut [0; 8]).is_ok(), is_served, "{host} {only}");
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn reuse_port_lets_another_server_listen() -> TestResult {
    let server = server(&[("reuse_port", "on")])?;
    let address = server.address().to_string();
    let other = self::server(&[("reuse_port", "on"), ("listen", &address)])?;
    assert_eq!(other.address(), server.address());
    // Whoever gets it serves it.
    let client = TcpStream::connect_timeout(&server.address(), Duration::from_secs(10))?;
    drop(client);
    let refused = TestServer::echo().set("listen", &address).start_expecting_failure()?;
    assert_eq!(refused.0, 3, "who does not want to share cannot: {}", refused.1);
    other.stop()?;
    server.stop()
}
