//! Packages whose length a function of the program tells.

use ostler_core::brain::CloseReason;

use super::handler::Handler;
use super::outcome::Outcome;
use super::package::Package;
use super::session::Session;
use super::worker::Worker;

/// What a length function says about the bytes at the front of a session's input.
///
/// ```
/// use ostler::PackageLength;
///
/// /// A byte with the length of what follows it.
/// fn length(bytes: &[u8]) -> PackageLength {
///     match bytes.first() {
///         Some(body) => PackageLength::Bytes(1 + usize::from(*body)),
///         None => PackageLength::NeedMore,
///     }
/// }
/// assert_eq!(length(b"\x02ab"), PackageLength::Bytes(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageLength {
    /// The package at the front has so many bytes, header included; at least 1. It need not have
    /// come whole yet.
    Bytes(usize),
    /// It cannot be told yet: the function is asked again when more has come.
    NeedMore,
    /// This is no package: the session is closed behind the answers to those before it.
    Malformed,
}

/// A handler whose packages are cut by a function of the program (`package_length_func` of
/// Swoole), for headers that no framing describes. It needs `framing = stream`, the default.
///
/// The function runs in the worker, before the handler: one that panics or does not return ends or
/// blocks its worker and not the master, like any other code of the program. What it does not call
/// a whole package stays with the server, survives the worker, and is bounded by
/// `package_max_length`; a length of 0 or above that limit closes the session as soon as the
/// function has said it, before anything is kept for the rest.
///
/// The handler sees one whole package at a time; [`Package::consume`] has no effect there. When it
/// defers a package, the next one of that session comes after the deferred one is finished. What
/// is left when the client will send no more is thrown away.
///
/// ```
/// use ostler::{ByLength, Handler, Outcome, Package, PackageLength, Server, Session, Worker};
///
/// /// Decimal digits with the length of the body, a colon, the body, a comma: a netstring.
/// fn netstring(bytes: &[u8]) -> PackageLength {
///     let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
///     let text = std::str::from_utf8(&bytes[..digits]).unwrap_or_default();
///     match (bytes.get(digits), text.parse::<usize>()) {
///         (None, _) if digits < 9 => PackageLength::NeedMore,
///         (Some(b':'), Ok(body)) if digits < 9 => PackageLength::Bytes(digits + 1 + body + 1),
///         _ => PackageLength::Malformed,
///     }
/// }
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
///         Ok(session.send(package)?)
///     }
/// }
///
/// # fn main() -> ostler::Result<()> {
/// let make = |_: &Worker| ByLength::new(netstring, Echo);
/// let server = ostler::test::TestServer::start(Server::builder(), make)?;
/// let mut client = server.connect();
/// client.send(b"5:hello,3:w");
/// client.expect(b"5:hello,");
/// client.send(b"or,");
/// client.expect(b"3:wor,");
/// client.send(b"x");
/// client.expect_end();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ByLength<F, H> {
    length: F,
    handler: H,
}

impl<F, H> ByLength<F, H>
where
    F: FnMut(&[u8]) -> PackageLength + 'static,
    H: Handler,
{
    /// `handler` gets the packages that `length` tells.
    ///
    /// ```no_run
    /// # use ostler::{ByLength, Handler, Outcome, Package, PackageLength, Server, Session, Worker};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     fn on_receive(&mut self, _: &Worker, to: &Session, package: &Package) -> Outcome {
    /// #         Ok(to.send(package)?)
    /// #     }
    /// # }
    /// # fn length(_: &[u8]) -> PackageLength { PackageLength::Bytes(1) }
    /// ostler::run_main(Server::builder(), |_| ByLength::new(length, Echo));
    /// ```
    pub const fn new(length: F, handler: H) -> Self {
        Self { length, handler }
    }

    /// The handler within, for timers and remotes, which are given the whole.
    ///
    /// ```
    /// use ostler::{ByLength, Handler, PackageLength, Worker};
    ///
    /// type Length = fn(&[u8]) -> PackageLength;
    ///
    /// fn tick<H: Handler>(whole: &mut ByLength<Length, H>, worker: &Worker) {
    ///     whole.handler_mut().on_worker_exit(worker);
    /// }
    /// ```
    pub const fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// The length of the package at the front of `rest`, when it is there whole.
    fn whole(&mut self, rest: &[u8], most: usize) -> Result<Option<usize>, String> {
        match (self.length)(rest) {
            PackageLength::Bytes(0) => {
                Err("the length function says that a package has 0 bytes".to_owned())
            }
            PackageLength::Bytes(len) if len > most => Err(format!(
                "a package has {len} bytes as the length function says, package_max_length is \
                 {most}"
            )),
            PackageLength::Bytes(len) => Ok(Some(len).filter(|len| *len <= rest.len())),
            PackageLength::NeedMore => Ok(None),
            PackageLength::Malformed => {
                Err("this is no package, as the length function says".to_owned())
            }
        }
    }
}

impl<F, H> Handler for ByLength<F, H>
where
    F: FnMut(&[u8]) -> PackageLength + 'static,
    H: Handler,
{
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let Some(most) = package.stream_max_length() else {
            return Err("a length function needs framing = stream, the default".into());
        };
        let mut used = 0;
        loop {
            let rest = package.get(used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let Some(len) = self.whole(rest, most)? else { break };
            let end = used + len;
            package.with_part(used..end, || self.handler.on_receive(worker, session, package))?;
            used = end;
            if package.is_deferred_or_closed() {
                break;
            }
        }
        package.consume(used);
        Ok(())
    }

    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        self.handler.on_worker_start(worker)
    }

    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        self.handler.on_connect(worker, session)
    }

    fn on_close(&mut self, worker: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        self.handler.on_close(worker, session, reason)
    }

    fn on_worker_exit(&mut self, worker: &Worker) {
        self.handler.on_worker_exit(worker);
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        self.handler.on_worker_stop(worker);
    }
}
