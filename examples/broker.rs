//! Broker: MQTT 3.1.1 with retained messages. Try:
//! mosquitto_sub -p 9501 -t 'home/#' -v, and mosquitto_pub -p 9501 -t home/door -m open -r
//!
//! The server cuts the packets (`framing = mqtt`). What a session has subscribed to is its state,
//! which the master keeps: a worker that dies or is reloaded loses no subscriber. Retained messages
//! live in the worker, which is therefore the only one, and as long as it does. Messages go out
//! with quality 0: a publisher gets the acknowledgement that it asks for, a subscriber none.

use std::collections::HashMap;

use ostler::{Exit, Failure, Framing, Handler, Options, Outcome};
use ostler::{Package, SendError, Server, Session, Worker};

/// So many topics have a retained message at most.
const TOPICS_MAX: usize = 10_000;
/// Most bytes of a session's filters.
const STATE_BYTES: usize = 1_024;
/// A session that has said CONNECT has this in its state, and behind it its filters, each with a
/// zero before it, which no filter contains.
const CONNECTED: &str = "connected";
/// Refused, in the answer to a subscription.
const REFUSED: u8 = 0x80;

/// Reads what stands in a packet, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Failure> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("a packet ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u16, Failure> {
        let bytes = self.take(2)?.first_chunk().copied().unwrap_or_default();
        Ok(u16::from_be_bytes(bytes))
    }

    fn text(&mut self) -> Result<&'a str, Failure> {
        let len = self.number()?;
        Ok(std::str::from_utf8(self.take(usize::from(len))?)?)
    }
}

/// A packet with its fixed header.
fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let mut len = body.iter().map(|part| part.len()).sum::<usize>();
    let mut packet = vec![first];
    loop {
        let more = if len > 0x7f { 0x80 } else { 0 };
        packet.push((len & 0x7f) as u8 | more);
        len >>= 7;
        if more == 0 {
            break;
        }
    }
    packet.extend(body.concat());
    packet
}

fn published(topic: &str, message: &[u8], retained: bool) -> Vec<u8> {
    let len = (topic.len() as u16).to_be_bytes();
    packet(0x30 | u8::from(retained), &[&len, topic.as_bytes(), message])
}

/// Whether a filter is one: `+` stands for a level, `#` for all that follow, at the end only.
fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut good = !filter.is_empty();
    while let Some(level) = levels.next() {
        let is_wild = level.contains(['+', '#']);
        good &= !level.contains('\0');
        good &= !is_wild || level == "+" || (level == "#" && levels.peek().is_none());
    }
    good
}

fn matches(filter: &str, topic: &str) -> bool {
    // What begins with a dollar is the broker's own.
    if topic.starts_with('$') != filter.starts_with('$') {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

/// What a session has subscribed to; `None` before its CONNECT.
fn filters(session: &Session) -> Option<Vec<String>> {
    let state = String::from_utf8(session.state()).ok()?;
    let mut parts = state.split('\0').map(str::to_owned);
    (parts.next()? == CONNECTED).then(|| parts.collect())
}

/// Whether there was room for them.
fn keep(session: &Session, filters: &[String]) -> Result<bool, SendError> {
    let all = [&[CONNECTED.to_owned()], filters].concat().join("\0");
    if all.len() > STATE_BYTES {
        return Ok(false);
    }
    session.set_state(all.as_bytes())?;
    Ok(true)
}

#[derive(Default)]
struct Broker {
    retained: HashMap<String, Vec<u8>>,
}

impl Broker {
    fn connect(session: &Session, mut fields: Fields<'_>) -> Outcome {
        let known = fields.text()? == "MQTT" && fields.byte()? == 4;
        let answer = if known { 0 } else { 1 };
        session.send(&packet(0x20, &[&[0, answer]]))?;
        let is_second = filters(session).is_some();
        if !known || is_second || !keep(session, &[])? {
            session.close()?;
        }
        Ok(())
    }

    fn publish(
        &mut self,
        worker: &Worker,
        session: &Session,
        flags: u8,
        mut fields: Fields<'_>,
    ) -> Outcome {
        let topic = fields.text()?;
        if topic.is_empty() || topic.contains(['+', '#']) {
            return Err("a topic has no wildcards".into());
        }
        match flags >> 1 & 3 {
            0 => {}
            1 => session.send(&packet(0x40, &[&fields.number()?.to_be_bytes()]))?,
            _ => return Err("quality 2 is not served".into()),
        }
        let message = fields.0;
        if flags & 1 != 0 {
            self.retain(topic, message);
        }
        let packet = published(topic, message, false);
        for subscriber in worker.sessions() {
            let filters = filters(&subscriber).unwrap_or_default();
            if filters.iter().any(|filter| matches(filter, topic)) {
                deliver(subscriber.send(&packet))?;
            }
        }
        Ok(())
    }

    fn retain(&mut self, topic: &str, message: &[u8]) {
        if message.is_empty() {
            self.retained.remove(topic);
        } else if self.retained.contains_key(topic) || self.retained.len() < TOPICS_MAX {
            self.retained.insert(topic.to_owned(), message.to_vec());
        }
    }

    fn subscribe(&self, session: &Session, mut fields: Fields<'_>) -> Outcome {
        let id = fields.number()?;
        let mut answers = Vec::new();
        let mut found = Vec::new();
        while !fields.0.is_empty() {
            let (filter, _quality) = (fields.text()?, fields.byte()?);
            let mut all = filters(session).unwrap_or_default();
            all.retain(|known| known != filter);
            all.push(filter.to_owned());
            if !is_filter(filter) || !keep(session, &all)? {
                answers.push(REFUSED);
                continue;
            }
            answers.push(0);
            found.extend(self.retained.iter().filter(|(topic, _)| matches(filter, topic)));
        }
        session.send(&packet(0x90, &[&id.to_be_bytes(), &answers]))?;
        for (topic, message) in found {
            deliver(session.send(&published(topic, message, true)))?;
        }
        Ok(())
    }

    fn unsubscribe(session: &Session, mut fields: Fields<'_>) -> Outcome {
        let id = fields.number()?;
        let mut all = filters(session).unwrap_or_default();
        while !fields.0.is_empty() {
            let filter = fields.text()?;
            all.retain(|known| known != filter);
        }
        keep(session, &all)?;
        Ok(session.send(&packet(0xb0, &[&id.to_be_bytes()]))?)
    }
}

/// A subscriber that does not keep up misses messages, and one that has left misses all: with
/// quality 0 that is no failure of who publishes.
fn deliver(sent: Result<(), SendError>) -> Outcome {
    match sent {
        Err(error) if !error.is_full() && !error.is_gone() => Err(error.into()),
        _ => Ok(()),
    }
}

impl Handler for Broker {
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let mut fields = Fields(package);
        let first = fields.byte()?;
        // The length, which the server has read already.
        while fields.byte()? & 0x80 != 0 {}
        let is_connected = filters(session).is_some();
        match first >> 4 {
            1 => Self::connect(session, fields),
            _ if !is_connected => Err("the first packet is CONNECT".into()),
            3 => self.publish(worker, session, first & 0xf, fields),
            8 => self.subscribe(session, fields),
            10 => Self::unsubscribe(session, fields),
            12 => Ok(session.send(&packet(0xd0, &[]))?),
            14 => Ok(session.close()?),
            kind => Err(format!("a broker gets no packet of kind {kind}").into()),
        }
    }
}

fn one_worker(options: &Options) -> Result<(), String> {
    if options.get("workers").as_deref() == Some("1") {
        return Ok(());
    }
    Err("each worker would retain other messages: set workers = 1".to_owned())
}

fn serve() -> ostler::Result<()> {
    let builder = Server::builder()
        .listen("127.0.0.1:9501")
        .workers(1)
        .framing(Framing::mqtt())
        .session_state_size(STATE_BYTES)
        .args(std::env::args_os().skip(1));
    let server = builder.demand(one_worker).bind()?;
    server.on_listening(|address| println!("listening on {address}")).run(|_| Broker::default())
}

fn main() -> Exit {
    serve().into()
}
