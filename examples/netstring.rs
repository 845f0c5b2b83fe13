//! Netstrings: each message is its length in digits, a colon, the message, a comma. No framing
//! knows that form, so a function says where a message ends. Talk to it with:
//! printf '5:hello,' | nc -N 127.0.0.1 9501

use ostler::{ByLength, Handler, Outcome, Package, PackageLength, Server, Session, Worker};

/// More digits than this have no length that is allowed.
const DIGITS_MAX: usize = 8;

/// Length of the netstring at the front.
fn length(bytes: &[u8]) -> PackageLength {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > DIGITS_MAX {
        return PackageLength::Malformed;
    }
    let text = bytes.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
    match (bytes.get(digits), text.and_then(|text| text.parse::<usize>().ok())) {
        (None, _) => PackageLength::NeedMore,
        (Some(b':'), Some(body)) => PackageLength::Bytes(digits + 1 + body + 1),
        _ => PackageLength::Malformed,
    }
}

struct Upper;

impl Handler for Upper {
    fn on_receive(&mut self, _worker: &Worker, session: &Session, message: &Package) -> Outcome {
        if !message.ends_with(b",") {
            return Err("a netstring ends with a comma".into());
        }
        Ok(session.send(&message.to_ascii_uppercase())?)
    }
}

fn serve() -> ostler::Result<()> {
    let builder = Server::builder().listen("127.0.0.1:9501").args(std::env::args_os().skip(1));
    let server = builder.bind()?.on_listening(|address| println!("listening on {address}"));
    server.run(|_| ByLength::new(length, Upper))
}

fn main() -> ostler::Exit {
    serve().into()
}
