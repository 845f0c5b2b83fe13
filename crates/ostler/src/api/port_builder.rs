//! Collecting the options of one port.

use super::builder::ServerBuilder;
use super::framing::Framing;
use super::outcome::IntoHandler;
use super::own_handler::OwnFactory;
use super::worker::Worker;
use crate::options::sources::layers::{Layer, Layers};

/// The options that one port of a server has for itself; made by [`ServerBuilder::port`]. What is
/// not said here is as the server has it.
///
/// ```
/// use std::time::Duration;
/// use ostler::{Framing, Server};
///
/// let builder = Server::builder()
///     .listen("0.0.0.0:9501")
///     .framing(Framing::resp())
///     .port("admin", "tcp://127.0.0.1:9502", |port| {
///         port.framing(Framing::lines()).linger_timeout(Duration::ZERO).set("backlog", 16)
///     });
/// ```
#[derive(Debug)]
pub struct PortBuilder {
    name: String,
    layers: Layers,
    handler: Option<OwnFactory>,
}

impl PortBuilder {
    /// Sets any option of the port by its name; a wrong one is told by [`ServerBuilder::bind`].
    ///
    /// ```
    /// let builder = ostler::Server::builder();
    /// let builder = builder.port("bulk", "127.0.0.1:0", |port| port.set("backlog", 4_096));
    /// ```
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        let name = format!("port.{}.{name}", self.name);
        self.layers.say(Layer::Program, &name, &value.to_string(), "");
        self
    }

    /// How the bytes of a session of this port become packages.
    ///
    /// ```
    /// use ostler::{Framing, Server};
    ///
    /// let builder = Server::builder();
    /// let builder = builder.port("cache", "127.0.0.1:0", |port| port.framing(Framing::resp()));
    /// ```
    #[must_use]
    pub fn framing(self, framing: Framing) -> Self {
        framing.options().fold(self, |builder, (name, value)| builder.set(name, value))
    }

    /// A handler of this port's own: it is told of the sessions and datagrams of this port, and the
    /// server's handler is not. `make` is called once in each worker process, as the factory of
    /// [`Server::run`](crate::Server::run), after that one; a worker has one such handler, whatever
    /// else it serves. When a worker starts, the server's handler is told first, when it leaves and
    /// stops, last.
    ///
    /// Timers, [`Remote`](crate::Remote)s and writers belong to the handler whose callback made
    /// them. What both handlers need they share by an [`Rc`](std::rc::Rc): each worker process has
    /// its own copy of it.
    ///
    /// ```no_run
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// use ostler::{Framing, Handler, Outcome, Package, Server, Session, Worker};
    ///
    /// struct Echo {
    ///     served: Rc<Cell<u64>>,
    /// }
    ///
    /// impl Handler for Echo {
    ///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
    ///         self.served.set(self.served.get() + 1);
    ///         Ok(session.send(package)?)
    ///     }
    /// }
    ///
    /// struct Admin {
    ///     served: Rc<Cell<u64>>,
    /// }
    ///
    /// impl Handler for Admin {
    ///     fn on_receive(&mut self, worker: &Worker, session: &Session, _: &Package) -> Outcome {
    ///         let text = format!("worker {}: {} served\n", worker.slot(), self.served.get());
    ///         Ok(session.send(text.as_bytes())?)
    ///     }
    /// }
    ///
    /// fn main() -> ostler::Exit {
    ///     let served = Rc::new(Cell::new(0));
    ///     let of_admin = Rc::clone(&served);
    ///     let server = Server::builder()
    ///         .listen("0.0.0.0:9501")
    ///         .port("admin", "unix:///run/admin.sock", |port| {
    ///             port.framing(Framing::lines())
    ///                 .handler(move |_| Admin { served: Rc::clone(&of_admin) })
    ///         });
    ///     ostler::run_main(server, move |_| Echo { served: Rc::clone(&served) })
    /// }
    /// ```
    #[must_use]
    pub fn handler<R, F>(mut self, make: F) -> Self
    where
        R: IntoHandler,
        F: Fn(&Worker) -> R + 'static,
    {
        self.handler = Some(OwnFactory::new(make));
        self
    }
}

impl ServerBuilder {
    /// Adds a port called `name` that listens at `url` (`HOST:PORT` or `tcp://HOST:PORT`).
    /// `options` says what this port has for itself; the rest is as the server has it. The name is
    /// up to 32 small letters, digits and `_`; users set options of the port by it
    /// (`port.NAME.OPTION`), and a handler asks [`Session::port`](crate::Session::port) for it.
    ///
    /// The first port of a server is `main`, with the address of [`ServerBuilder::listen`]. A
    /// server that names ports and says no `listen` has no `main`.
    ///
    /// ```
    /// use ostler::{Framing, Server};
    ///
    /// let server = Server::builder()
    ///     .listen("127.0.0.1:0")
    ///     .port("admin", "tcp://127.0.0.1:0", |port| port.framing(Framing::lines()))
    ///     .bind()?;
    /// let names: Vec<&str> = server.ports().iter().map(|port| port.name()).collect();
    /// assert_eq!(names, ["main", "admin"]);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn port(
        mut self,
        name: &str,
        url: &str,
        options: impl FnOnce(PortBuilder) -> PortBuilder,
    ) -> Self {
        if self.port_names.iter().any(|known| known == name) {
            self.layers.object(format!(
                "the program names two ports `{name}`: give one of them another name"
            ));
        }
        self.port_names.push(name.to_owned());
        let layers = std::mem::take(&mut self.layers);
        let port = PortBuilder { name: name.to_owned(), layers, handler: None };
        let port = options(port.set("listen", url));
        self.layers = port.layers;
        if let Some(factory) = port.handler {
            self.own_handlers.say(name, factory);
        }
        self
    }
}
