//! Version 1: a line of text.
//!
//! ```text
//! PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n
//! PROXY TCP6 2001:db8::1 2001:db8::7 56324 443\r\n
//! PROXY UNKNOWN\r\n      (whatever stands behind UNKNOWN is ignored)
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{BadHeader, Client, Header, begins_with, client_at};

/// Longest line with its end, as the specification says: two addresses of the longest form.
pub const V1_MAX_BYTES: usize = 107;

const SIGNATURE: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"UNKNOWN";

pub(super) fn find(received: &[u8]) -> Result<Option<Header>, BadHeader> {
    if begins_with(received, SIGNATURE)?.is_none() {
        return Ok(None);
    }
    let Some(line_len) = line_len(received)? else { return Ok(None) };
    let line = received.get(SIGNATURE.len()..line_len).unwrap_or_default();
    let client = client(line).ok_or(BadHeader::Malformed)?;
    Ok(Some(Header { len: line_len + 2, client }))
}

/// The length of the line without its end. A carriage return and a line feed stand at the end, and
/// neither of them anywhere else.
fn line_len(received: &[u8]) -> Result<Option<usize>, BadHeader> {
    let longest = V1_MAX_BYTES - 2;
    let looked_at = received.get(..=longest).unwrap_or(received);
    let Some(end) = looked_at.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if received.len() > longest { Err(BadHeader::TooLong) } else { Ok(None) };
    };
    match received.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Some(end)),
        Some([b'\r']) => Ok(None),
        _ => Err(BadHeader::Malformed),
    }
}

/// The client of a line without its signature and its end.
fn client(line: &[u8]) -> Option<Client> {
    if let Some(rest) = line.strip_prefix(UNKNOWN) {
        return matches!(rest, [] | [b' ', ..]).then_some(Client::OfConnection);
    }
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let mut next = || words.next();
    let (kind, source, destination) = (next()?, next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    if words.next().is_some() {
        return None;
    }
    let source = address(kind, source)?;
    // Of no use, and still a part of the form.
    address(kind, destination)?;
    port(destination_port)?;
    Some(client_at(source, port(source_port)?))
}

fn address(kind: &str, text: &str) -> Option<IpAddr> {
    match kind {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    }
}

/// Digits, without a zero in front of others.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_one_form = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && has_one_form)
}
