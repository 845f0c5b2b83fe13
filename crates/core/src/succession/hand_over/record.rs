//! What goes beside the descriptors of sessions, as bytes.
//!
//! A list begins with [`MAGIC`], the number of the format and how many sessions follow. Numbers are
//! little-endian; whatever has a length has it in front, four bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::SESSIONS_PER_OFFER_MAX;

const MAGIC: [u8; 4] = *b"OSHO";
const FORMAT: u16 = 3;
/// Most bytes of a list: what the sessions of one offer have received and not framed, and have to
/// be sent, in all.
pub const RECORDS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest name of a port.
const PORT_NAME_MAX: usize = 256;
/// Longest description of a framing.
const FRAMING_MAX: usize = 512;
/// Most groups of one session, and the longest name of one.
const GROUPS_MAX: usize = 256;
const GROUP_NAME_MAX: usize = 255;

const PROTECTED: u8 = 1;
const FULL: u8 = 2;
const BOUND: u8 = 4;
const UNNAMED: u8 = 8;
const ALL_FLAGS: u8 = PROTECTED | FULL | BOUND | UNNAMED;

const IP_V4: u8 = 4;
const IP_V6: u8 = 6;
const UNIX: u8 = 1;

/// Who the client is, as the old master knows it, whoever the socket's other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandedPeer {
    /// A client of an IP port.
    Ip(SocketAddr),
    /// A client of a unix socket: number of the process, its user, its group.
    Unix([u32; 3]),
}

/// What came and went with a session. Times are nanoseconds of the machine's monotonic clock; 0: it
/// has not happened yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedTraffic {
    /// When bytes were received last.
    pub received_at_ns: u64,
    /// When a worker was given a package last.
    pub given_at_ns: u64,
    /// When bytes were written last.
    pub sent_at_ns: u64,
    /// Bytes received in all.
    pub received_bytes: u64,
    /// Bytes written in all.
    pub sent_bytes: u64,
}

impl HandedTraffic {
    const fn words(self) -> [u64; 5] {
        let Self { received_at_ns, given_at_ns, sent_at_ns, received_bytes, sent_bytes } = self;
        [received_at_ns, given_at_ns, sent_at_ns, received_bytes, sent_bytes]
    }

    const fn of_words(words: [u64; 5]) -> Self {
        let [received_at_ns, given_at_ns, sent_at_ns, received_bytes, sent_bytes] = words;
        Self { received_at_ns, given_at_ns, sent_at_ns, received_bytes, sent_bytes }
    }
}

/// A session, as it goes to another master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedSession {
    /// Its id, which it keeps.
    pub session: u64,
    /// The name of its port.
    pub port: String,
    /// Its client.
    pub peer: HandedPeer,
    /// When it was accepted, nanoseconds of the machine's monotonic clock.
    pub connected_at_ns: u64,
    /// What came and went with it.
    pub traffic: HandedTraffic,
    /// A worker has said that it is not ended for being idle.
    pub is_protected: bool,
    /// Workers were told that its unsent output is above the high mark.
    pub is_full: bool,
    /// The client's address is that of a proxy which did not say whose connection it is.
    pub is_unnamed: bool,
    /// The number to which a worker has bound it.
    pub user: Option<u32>,
    /// Its state.
    pub state: Vec<u8>,
    /// The names of its groups.
    pub groups: Vec<Vec<u8>>,
    /// How its port cuts packages, in words that are the same where that is the same; empty if
    /// nothing was received.
    pub framing: String,
    /// What was received of it and given to no worker.
    pub received: Vec<u8>,
    /// What is to be sent to it.
    pub unsent: Vec<u8>,
}

impl HandedSession {
    /// Bytes that it takes in a list, nearly.
    #[must_use]
    pub fn weight(&self) -> usize {
        let names: usize = self.groups.iter().map(|name| name.len() + 4).sum();
        let names = names + self.framing.len();
        160 + self.port.len() + self.state.len() + names + self.received.len() + self.unsent.len()
    }
}

/// These bytes are no list of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecord(pub &'static str);

impl std::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Sessions as bytes.
#[must_use]
pub fn encode(sessions: &[HandedSession]) -> Vec<u8> {
    let mut to = Vec::with_capacity(sessions.iter().map(HandedSession::weight).sum());
    to.extend_from_slice(&MAGIC);
    to.extend_from_slice(&FORMAT.to_le_bytes());
    to.extend_from_slice(&(sessions.len() as u16).to_le_bytes());
    sessions.iter().for_each(|session| write(&mut to, session));
    to
}

fn write(to: &mut Vec<u8>, handed: &HandedSession) {
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    to.extend_from_slice(&handed.session.to_le_bytes());
    write_bytes(to, handed.port.as_bytes());
    write_peer(to, handed.peer);
    to.extend_from_slice(&handed.connected_at_ns.to_le_bytes());
    handed.traffic.words().iter().for_each(|word| to.extend_from_slice(&word.to_le_bytes()));
    to.push(
        flag(handed.is_protected, PROTECTED)
            | flag(handed.is_full, FULL)
            | flag(handed.user.is_some(), BOUND)
            | flag(handed.is_unnamed, UNNAMED),
    );
    to.extend_from_slice(&handed.user.unwrap_or(0).to_le_bytes());
    write_bytes(to, &handed.state);
    to.extend_from_slice(&(handed.groups.len() as u32).to_le_bytes());
    handed.groups.iter().for_each(|name| write_bytes(to, name));
    write_bytes(to, handed.framing.as_bytes());
    write_bytes(to, &handed.received);
    write_bytes(to, &handed.unsent);
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    to.extend_from_slice(bytes);
}

fn write_peer(to: &mut Vec<u8>, peer: HandedPeer) {
    match peer {
        HandedPeer::Ip(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    to.push(IP_V4);
                    to.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    to.push(IP_V6);
                    to.extend_from_slice(&ip.octets());
                }
            }
            to.extend_from_slice(&address.port().to_le_bytes());
        }
        HandedPeer::Unix(words) => {
            to.push(UNIX);
            words.iter().for_each(|word| to.extend_from_slice(&word.to_le_bytes()));
        }
    }
}

/// Sessions out of bytes.
///
/// # Errors
/// When they are of another format, cut, too long, or say what cannot be.
pub fn decode(bytes: &[u8]) -> Result<Vec<HandedSession>, BadRecord> {
    if bytes.len() > RECORDS_BYTES_MAX {
        return Err(BadRecord("a list of sessions that is too long"));
    }
    let mut from = Source { rest: bytes };
    if from.array()? != MAGIC {
        return Err(BadRecord("no list of sessions"));
    }
    if u16::from_le_bytes(from.array()?) != FORMAT {
        return Err(BadRecord("a list of sessions of another format"));
    }
    let count = usize::from(u16::from_le_bytes(from.array()?));
    if count > SESSIONS_PER_OFFER_MAX {
        return Err(BadRecord("too many sessions in one list"));
    }
    let sessions = (0..count).map(|_| read(&mut from)).collect::<Result<Vec<_>, _>>()?;
    if from.rest.is_empty() {
        Ok(sessions)
    } else {
        Err(BadRecord("a list of sessions with something behind it"))
    }
}

fn read(from: &mut Source<'_>) -> Result<HandedSession, BadRecord> {
    let session = from.u64()?;
    if session == 0 {
        return Err(BadRecord("a session without an id"));
    }
    let port = text(from, PORT_NAME_MAX, "the name of a port that is no text")?;
    let peer = read_peer(from)?;
    let connected_at_ns = from.u64()?;
    let mut traffic = [0; 5];
    for word in &mut traffic {
        *word = from.u64()?;
    }
    let [flags] = from.array()?;
    if flags & !ALL_FLAGS != 0 {
        return Err(BadRecord("unknown flags of a session"));
    }
    let user = from.u32()?;
    if user != 0 && flags & BOUND == 0 {
        return Err(BadRecord("the user of a session without one"));
    }
    let state = from.bytes(RECORDS_BYTES_MAX)?.to_vec();
    let count = from.u32()? as usize;
    if count > GROUPS_MAX {
        return Err(BadRecord("a session in too many groups"));
    }
    let mut groups = Vec::new();
    for _ in 0..count {
        groups.push(from.bytes(GROUP_NAME_MAX)?.to_vec());
    }
    Ok(HandedSession {
        session,
        port,
        peer,
        connected_at_ns,
        traffic: HandedTraffic::of_words(traffic),
        is_protected: flags & PROTECTED != 0,
        is_full: flags & FULL != 0,
        is_unnamed: flags & UNNAMED != 0,
        user: (flags & BOUND != 0).then_some(user),
        state,
        groups,
        framing: text(from, FRAMING_MAX, "a framing that is no text")?,
        received: from.bytes(RECORDS_BYTES_MAX)?.to_vec(),
        unsent: from.bytes(RECORDS_BYTES_MAX)?.to_vec(),
    })
}

fn text(from: &mut Source<'_>, max: usize, why: &'static str) -> Result<String, BadRecord> {
    let bytes = from.bytes(max)?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| BadRecord(why))
}

fn read_peer(from: &mut Source<'_>) -> Result<HandedPeer, BadRecord> {
    let [kind] = from.array()?;
    let ip = match kind {
        IP_V4 => IpAddr::V4(Ipv4Addr::from(from.array::<4>()?)),
        IP_V6 => IpAddr::V6(Ipv6Addr::from(from.array::<16>()?)),
        UNIX => return Ok(HandedPeer::Unix([from.u32()?, from.u32()?, from.u32()?])),
        _ => return Err(BadRecord("an unknown kind of address")),
    };
    Ok(HandedPeer::Ip(SocketAddr::new(ip, u16::from_le_bytes(from.array()?))))
}

/// Bytes that are taken from the left.
struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        let cut = BadRecord("a list of sessions that is cut");
        let (array, rest) = self.rest.split_first_chunk().ok_or(cut)?;
        self.rest = rest;
        Ok(*array)
    }

    fn u32(&mut self) -> Result<u32, BadRecord> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, BadRecord> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self, most: usize) -> Result<&'a [u8], BadRecord> {
        let len = self.u32()? as usize;
        if len > most {
            return Err(BadRecord("a part of a session that is too long"));
        }
        let cut = BadRecord("a list of sessions that is cut");
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(cut)?;
        self.rest = rest;
        Ok(bytes)
    }
}
