//! Cache: the commands of Redis that a cache needs. Try: redis-cli -p 9501, or
//! redis-benchmark -p 9501 -t set,get,incr
//!
//! The server cuts the requests (`framing = resp`), so that each callback has a whole one. The
//! values live in one worker and as long as it does: a second worker would have others, so that one
//! is all there may be. Connections outlive it, values do not; `examples/keyvalue.rs` keeps them in
//! a file.

use std::collections::HashMap;

use ostler::{Exit, Framing, Handler, Options, Outcome, Package, Server, Session, Worker};

/// Values take at most so many bytes in all, keys included.
const BYTES_MAX: usize = 256 << 20;

/// The words of a request: an array of strings, or words in a line.
fn words(package: &[u8]) -> Option<Vec<&[u8]>> {
    let Some(mut rest) = package.strip_prefix(b"*") else {
        let is_space = |byte: &u8| byte.is_ascii_whitespace();
        return Some(package.split(is_space).filter(|word| !word.is_empty()).collect());
    };
    let mut words = Vec::new();
    for _ in 0..number(&mut rest)? {
        rest = rest.strip_prefix(b"$")?;
        let len = usize::try_from(number(&mut rest)?).ok()?;
        words.push(rest.get(..len)?);
        rest = rest.get(len + 2..)?;
    }
    Some(words)
}

/// Takes a number and the end of its line off the front.
fn number(rest: &mut &[u8]) -> Option<i64> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
    *rest = rest.get(end + 2..)?;
    Some(number)
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn integer(value: i64) -> Vec<u8> {
    format!(":{value}\r\n").into_bytes()
}

fn error(text: &str) -> Vec<u8> {
    format!("-ERR {text}\r\n").into_bytes()
}

#[derive(Default)]
struct Cache {
    values: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl Cache {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Vec<u8>> {
        let old = self.values.get(key).map_or(0, |old| key.len() + old.len());
        let bytes = self.bytes - old + key.len() + value.len();
        if bytes > BYTES_MAX {
            return Err(error("the cache is full: delete something"));
        }
        self.bytes = bytes;
        self.values.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> bool {
        let old = self.values.remove(key);
        self.bytes -= old.as_ref().map_or(0, |old| key.len() + old.len());
        old.is_some()
    }

    fn increment(&mut self, key: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let text = self.values.get(key).map_or(b"0".as_slice(), Vec::as_slice);
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let next = number.and_then(|number| number.checked_add(1));
        let next = next.ok_or_else(|| error("value is not an integer or out of range"))?;
        self.set(key, next.to_string().as_bytes())?;
        Ok(integer(next))
    }

    fn answer(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let name = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let answer = match (name.as_slice(), words) {
            (b"PING", [_]) => Ok(b"+PONG\r\n".to_vec()),
            (b"PING" | b"ECHO", [_, text]) => Ok(bulk(text)),
            (b"GET", [_, key]) => {
                Ok(self.values.get(*key).map_or_else(|| b"$-1\r\n".to_vec(), |value| bulk(value)))
            }
            (b"SET", [_, key, value]) => self.set(key, value).map(|()| b"+OK\r\n".to_vec()),
            (b"DEL", [_, keys @ ..]) if !keys.is_empty() => {
                Ok(integer(keys.iter().map(|key| i64::from(self.delete(key))).sum()))
            }
            (b"INCR", [_, key]) => self.increment(key),
            (b"DBSIZE", [_]) => Ok(integer(self.values.len() as i64)),
            // What redis-cli and redis-benchmark ask before they begin: there is nothing to tell.
            (b"COMMAND" | b"CONFIG", _) => Ok(b"*0\r\n".to_vec()),
            (b"QUIT", _) => Ok(b"+OK\r\n".to_vec()),
            _ => Err(error("it is PING, ECHO, GET, SET, DEL, INCR, DBSIZE or QUIT")),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

impl Handler for Cache {
    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        let words = words(package).ok_or("a request is an array of strings")?;
        if words.is_empty() {
            return Ok(()); // an empty line
        }
        session.send(&self.answer(&words))?;
        if words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"QUIT")) {
            session.close()?;
        }
        Ok(())
    }
}

fn one_worker(options: &Options) -> Result<(), String> {
    if options.get("workers").as_deref() == Some("1") {
        return Ok(());
    }
    Err("each worker would have values of its own: set workers = 1".to_owned())
}

fn serve() -> ostler::Result<()> {
    let builder = Server::builder()
        .listen("127.0.0.1:9501")
        .workers(1)
        .framing(Framing::resp())
        .args(std::env::args_os().skip(1));
    let server = builder.demand(one_worker).bind()?;
    server.on_listening(|address| println!("listening on {address}")).run(|_| Cache::default())
}

fn main() -> Exit {
    serve().into()
}
