use super::*;
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

/// Addresses and ports of version 2.
fn addresses(source: &str, destination: &str) -> Vec<u8> {
    let [source, destination] = [source, destination].map(|text| text.parse().unwrap());
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let port = |address: SocketAddr| address.port().to_be_bytes();
    [&octets(source)[..], &octets(destination), &port(source), &port(destination)].concat()
}

fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// Where a header ends and whose it is, however much of it is there: before its end nothing is
/// found, and what follows is not looked at.
fn only_whole(header: &[u8]) -> Client {
    for len in 0..header.len() {
        assert_eq!(find(&header[..len]), Ok(None), "{len} bytes of {header:?}");
    }
    let found = find(header).unwrap().unwrap();
    assert_eq!(found.len, header.len());
    for more in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\r\n", b"PROXY UNKNOWN\r\n", &[0; 5_000]] {
        assert_eq!(find(&[header, more].concat()), Ok(Some(found)));
    }
    found.client
}

fn at(address: &str) -> Client {
    Client::At(address.parse().unwrap())
}

#[test]
fn a_line_says_whose_connection_it_is() {
    for (line, client) in [
        ("TCP4 192.0.2.1 198.51.100.7 56324 443", at("192.0.2.1:56324")),
        ("TCP4 0.0.0.0 255.255.255.255 0 65535", at("0.0.0.0:0")),
        ("TCP6 2001:db8::1 ::1 1 2", at("[2001:db8::1]:1")),
        ("TCP6 ::ffff:192.0.2.1 ::1 80 2", at("192.0.2.1:80")),
        (
            "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            at("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("UNKNOWN", Client::OfConnection),
        ("UNKNOWN ", Client::OfConnection),
        ("UNKNOWN whatever \0 stands here", Client::OfConnection),
    ] {
        assert_eq!(only_whole(format!("PROXY {line}\r\n").as_bytes()), client, "{line}");
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
    assert_eq!(longest.len(), V1_MAX_BYTES);
    assert_eq!(only_whole(longest.as_bytes()), Client::OfConnection);
}

#[test]
fn a_line_that_is_none_is_refused() {
    for line in [
        "TCP4 192.0.2.1 198.51.100.7 56324",
        "TCP4 192.0.2.1 198.51.100.7 56324 443 ",
        "TCP4 192.0.2.1 198.51.100.7 56324 443 1",
        "TCP4  192.0.2.1 198.51.100.7 56324 443",
        "TCP4 192.0.2.1 198.51.100.7 65536 443",
        "TCP4 192.0.2.1 198.51.100.7 56324 65536",
        "TCP4 192.0.2.1 198.51.100.7 +1 443",
        "TCP4 192.0.2.1 198.51.100.7 -1 443",
        "TCP4 192.0.2.1 198.51.100.7 01 443",
        "TCP4 192.0.2.1 198.51.100.7  443",
        "TCP4 192.0.2.01 198.51.100.7 1 443",
        "TCP4 192.0.2 198.51.100.7 1 443",
        "TCP4 192.0.2.1 198.51.100.256 1 443",
        "TCP4 2001:db8::1 ::1 1 2",
        "TCP6 192.0.2.1 198.51.100.7 1 2",
        "TCP6 fe80::1%1 ::1 1 2",
        "TCP5 192.0.2.1 198.51.100.7 1 2",
        "tcp4 192.0.2.1 198.51.100.7 1 2",
        "UDP4 192.0.2.1 198.51.100.7 1 2",
        "TCP4\t192.0.2.1 198.51.100.7 1 2",
        "TCP4 192.0.2.1 198.51.100.7 1 2\0",
        "TCP4 \u{661}.0.2.1 198.51.100.7 1 2",
        "UNKNOWNS",
        "unknown",
        "",
    ] {
        let header = format!("PROXY {line}\r\n");
        assert_eq!(find(header.as_bytes()), Err(BadHeader::Malformed), "{line}");
        let without_end = &header.as_bytes()[..header.len() - 1];
        assert_eq!(find(without_end), Ok(None), "its end is awaited");
    }
    for ends in ["\n", "\rX", "\r\r\n", " \n\r"] {
        let header = format!("PROXY UNKNOWN{ends}");
        assert_eq!(find(header.as_bytes()), Err(BadHeader::Malformed), "{ends:?}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_before_it_ends() {
    let endless = format!("PROXY UNKNOWN {}", "f".repeat(200));
    let bytes = endless.as_bytes();
    assert_eq!(find(&bytes[..105]), Ok(None));
    assert_eq!(find(&bytes[..106]), Err(BadHeader::TooLong));
    assert_eq!(find(bytes), Err(BadHeader::TooLong));
    let one_too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16));
    assert_eq!(find(one_too_long.as_bytes()), Err(BadHeader::TooLong));
}

#[test]
fn what_begins_otherwise_is_refused_at_its_first_wrong_byte() {
    for text in ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}", "\0", "PUT /", "PROXYTCP4 ", "\n"] {
        assert_eq!(find(text.as_bytes()), Err(BadHeader::NoHeader), "{text:?}");
    }
    for signature in [&b"PROXY "[..], SIGNATURE] {
        for len in 0..signature.len() {
            assert_eq!(find(&signature[..len]), Ok(None));
            let wrong = [&signature[..len], b"\xff"].concat();
            assert_eq!(find(&wrong), Err(BadHeader::NoHeader), "{wrong:?}");
        }
    }
}

#[test]
fn bytes_say_whose_connection_it_is() {
    let v4 = addresses("192.0.2.1:56324", "198.51.100.7:443");
    let v6 = addresses("[2001:db8::1]:56324", "[2001:db8::7]:443");
    let mapped = addresses("[::ffff:192.0.2.1]:7", "[::ffff:192.0.2.2]:8");
    let unix = [b'/'; 216];
    let of_connection = Client::OfConnection;
    for (command, family, rest, client) in [
        (0x21, 0x11, &v4[..], at("192.0.2.1:56324")),
        (0x21, 0x12, &v4, at("192.0.2.1:56324")),
        (0x21, 0x21, &v6, at("[2001:db8::1]:56324")),
        (0x21, 0x22, &v6, at("[2001:db8::1]:56324")),
        (0x21, 0x21, &mapped, at("192.0.2.1:7")),
        (0x21, 0x31, &unix, of_connection),
        (0x21, 0x32, &unix, of_connection),
        (0x21, 0x00, &[], of_connection),
        // What follows is ignored, whatever it is.
        (0x21, 0x00, b"anything", of_connection),
        (0x20, 0x00, &[], of_connection),
        (0x20, 0x11, &v4, of_connection),
        (0x20, 0xff, b"anything", of_connection),
    ] {
        assert_eq!(only_whole(&v2(command, family, rest)), client, "{command:x} {family:x}");
    }
}

#[test]
fn bytes_of_a_form_that_is_not_known_are_refused() {
    let v4 = addresses("192.0.2.1:56324", "198.51.100.7:443");
    for command in (0..=u8::MAX).filter(|command| !matches!(command, 0x20 | 0x21)) {
        let header = v2(command, 0x11, &v4);
        assert_eq!(find(&header), Err(BadHeader::Unsupported), "{command:x}");
        assert_eq!(find(&header[..12]), Ok(None));
        assert_eq!(find(&header[..13]), Err(BadHeader::Unsupported), "at once");
    }
    let known = [0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32];
    for family in (0..=u8::MAX).filter(|family| !known.contains(family)) {
        let header = v2(0x21, family, &[0; 216]);
        assert_eq!(find(&header[..14]), Err(BadHeader::Unsupported), "{family:x}");
    }
    for (family, least) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        for len in 0..least {
            let header = v2(0x21, family, &vec![0; len]);
            assert_eq!(find(&header), Err(BadHeader::Malformed), "{family:x} {len}");
        }
        assert!(find(&v2(0x21, family, &vec![0; least])).unwrap().is_some());
    }
}

#[test]
fn bytes_that_are_too_long_are_refused_on_their_head() {
    let most = V2_MAX_BYTES - 16;
    only_whole(&v2(0x20, 0, &vec![7; most]));
    for len in [most + 1, 65_535] {
        let header = v2(0x20, 0, &vec![7; len]);
        assert_eq!(find(&header[..15]), Ok(None));
        assert_eq!(find(&header[..16]), Err(BadHeader::TooLong));
    }
}

#[test]
fn extensions_fill_the_header() {
    let v4 = addresses("192.0.2.1:56324", "198.51.100.7:443");
    let with = |extensions: &[&[u8]]| v2(0x21, 0x11, &[&v4[..], &extensions.concat()].concat());
    let alpn = extension(1, b"h2");
    let nothing = extension(4, b"");
    let large = extension(0x20, &[7; 4_000]);
    for extensions in [&[&alpn[..]][..], &[&nothing], &[&alpn, &nothing, &large]] {
        assert_eq!(only_whole(&with(extensions)), at("192.0.2.1:56324"));
    }
    for cut in 1..alpn.len() {
        let header = with(&[&nothing, &alpn[..cut]]);
        assert_eq!(find(&header), Err(BadHeader::Malformed), "{cut} bytes of an extension");
    }
    let beyond = [1, 0xff, 0xff, 0];
    assert_eq!(find(&with(&[&beyond])), Err(BadHeader::Malformed));
}

#[test]
fn a_checksum_is_that_of_the_header() {
    let v6 = addresses("[2001:db8::1]:56324", "[2001:db8::7]:443");
    let zero = extension(3, &[0; 4]);
    let mut header = v2(0x21, 0x21, &[&v6[..], &zero, &extension(1, b"mqtt")].concat());
    let sum = crc32c::of([&header[..]]).to_be_bytes();
    header[16 + 36 + 3..][..4].copy_from_slice(&sum);
    assert_eq!(only_whole(&header), at("[2001:db8::1]:56324"));
    for place in 16..header.len() {
        // Not the lengths, which would make something else of it.
        if (16 + 36..16 + 36 + 3).contains(&place) || (16 + 43..16 + 46).contains(&place) {
            continue;
        }
        let mut wrong = header.clone();
        wrong[place] ^= 1;
        assert_eq!(find(&wrong), Err(BadHeader::Checksum), "byte {place}");
    }
    let short = v2(0x21, 0x21, &[&v6[..], &extension(3, &[0; 3])].concat());
    assert_eq!(find(&short), Err(BadHeader::Malformed));
}

#[test]
fn counts_balance_and_add_up() {
    let mut one = HeaderCounts {
        awaited: 20,
        read: 1,
        untrusted: 2,
        left: 3,
        timed_out: 1,
        crowded_out: 2,
        ended: 1,
        ..HeaderCounts::default()
    };
    for reason in BadHeader::ALL {
        one.count_bad(reason);
        assert_eq!(one.bad(reason), 1, "{}", reason.text());
    }
    assert_eq!(one.open(), 5);
    let mut sum = one;
    sum.add(&one);
    assert_eq!((sum.open(), sum.awaited, sum.bad), (10, 40, [2; BAD_HEADERS]));
    let others = [sum.read, sum.untrusted, sum.left, sum.timed_out, sum.crowded_out, sum.ended];
    assert_eq!(others, [2, 4, 6, 2, 4, 2]);
}

/// Bytes that are, or are nearly, a header.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let line = "(PROXY |PROX)(TCP[46]|UNKNOWN)( [0-9a-f.:]{1,20}){0,4}[ \r\n]{0,3}[a-z]{0,9}";
    let kinds = (
        prop::sample::select(vec![0x20_u8, 0x21, 0x11]),
        prop::sample::select(vec![0_u8, 0x11, 0x21, 0x31, 0x41]),
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 0..9),
    );
    prop_oneof![
        line.prop_map(String::into_bytes),
        kinds.prop_map(|(command, family, rest, more)| {
            [v2(command, family, &rest), more].concat()
        }),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    /// What is found depends on no cut, and more bytes never change it.
    #[test]
    fn what_was_found_stays_so(
        bytes in nearly(), more in prop::collection::vec(any::<u8>(), 0..9)
    ) {
        let mut before = Ok(None);
        for len in 0..=bytes.len() {
            let found = find(&bytes[..len]);
            if before != Ok(None) {
                prop_assert_eq!(found, before);
            } else if let Ok(Some(header)) = found {
                prop_assert_eq!(header.len, len, "found as soon as it is whole");
            }
            before = found;
        }
        let whole = find(&[&bytes[..], &more].concat());
        prop_assert!(before == Ok(None) || whole == before);
    }

    /// Every address arrives as it was sent, in both versions.
    #[test]
    fn every_address_arrives(v4: bool, number: u128, port: u16, to: u128, to_port: u16) {
        let ip = |number: u128| match v4 {
            true => IpAddr::from((number as u32).to_be_bytes()),
            false => IpAddr::from(number.to_be_bytes()),
        };
        let (source, to) = (SocketAddr::new(ip(number), port), SocketAddr::new(ip(to), to_port));
        let client = client_at(source.ip(), port);
        let (name, family) = if v4 { ("TCP4", 0x11) } else { ("TCP6", 0x21) };
        let line = format!("PROXY {name} {} {} {port} {to_port}\r\n", source.ip(), to.ip());
        prop_assert_eq!(find(line.as_bytes()), Ok(Some(Header { len: line.len(), client })));
        let bytes = v2(0x21, family, &addresses(&source.to_string(), &to.to_string()));
        prop_assert_eq!(find(&bytes), Ok(Some(Header { len: bytes.len(), client })));
    }
}
