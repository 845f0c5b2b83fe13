//! Building and running a server.

use super::address::Address;
use super::builder::ServerBuilder;
use super::outcome::IntoHandler;
use super::port::Ports;
use super::worker::Worker;
use crate::error::Result;
use crate::master;

/// A server whose listener is bound and that does not accept yet.
///
/// From here on signals wait: one that comes before [`Server::run`] has its documented effect when
/// that begins. Dropping the server gives them back to the program.
///
/// ```no_run
/// use ostler::{Handler, Outcome, Package, Server, Session, Worker};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
///         Ok(session.send(package)?)
///     }
/// }
///
/// fn main() -> ostler::Exit {
///     ostler::run_main(Server::builder().listen("127.0.0.1:9501").workers(2), |_| Echo)
/// }
/// ```
pub struct Server {
    role: Role,
    ports: Ports,
}

/// What this process will be.
enum Role {
    Master(Box<master::Bound>),
    /// A worker of a server that another process has bound (`start = exec`).
    Worker(Box<master::Hired>),
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(bound: master::Bound) -> Self {
        Self { ports: bound.ports.described(), role: Role::Master(Box::new(bound)) }
    }

    pub(super) fn worker(hired: master::Hired) -> Self {
        Self { ports: hired.ports.clone(), role: Role::Worker(Box::new(hired)) }
    }

    /// Begins with the default options.
    ///
    /// ```
    /// let builder = ostler::Server::builder().listen("127.0.0.1:9501").workers(2);
    /// ```
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Where its first port listens, with the port number that the kernel chose if 0 was asked for.
    ///
    /// ```
    /// let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// println!("listening on {}", server.local_address());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn local_address(&self) -> &Address {
        self.ports.first().local_address()
    }

    /// All of its ports.
    ///
    /// ```
    /// use ostler::Server;
    ///
    /// let server = Server::builder()
    ///     .listen("127.0.0.1:0")
    ///     .port("admin", "tcp://127.0.0.1:0", |port| port)
    ///     .bind()?;
    /// for port in server.ports().iter() {
    ///     println!("{} listens on {port}", port.name());
    /// }
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Lets the program do something once the server serves: `announce` is called in the master
    /// when the first worker is ready. The log says `listening on` at the same moment, whether this
    /// is used or not.
    ///
    /// It runs between the master's other work, and before its `sandbox` if there is one: print a
    /// line, write a file, but do not wait for anything.
    ///
    /// ```no_run
    /// use ostler::Server;
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let server = server.on_listening(|ports| println!("listening on {ports}"));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn on_listening(mut self, announce: impl FnOnce(&Ports) + 'static) -> Self {
        if let Role::Master(bound) = &mut self.role {
            bound.announcement = Box::new(announce);
        }
        self
    }

    /// Runs the server: this process becomes the master, and returns when it was told to end (TERM)
    /// and has drained. `make` is called once in each worker process, after its fork; it returns
    /// the handler, or a result of one: an error is logged and ends that process, as one of
    /// [`crate::Handler::on_worker_start`] does.
    ///
    /// **What `make` catches is a copy in each worker.** A process is a fork: a plain
    /// `Arc<Mutex<...>>` that was made before `run` is one in each of them, and what one worker
    /// writes into it no other one sees, nor does the worker's successor. What all of them shall
    /// see is made of [`crate::shared`]; what belongs to a session is its state
    /// ([`crate::Session::set_state`]).
    ///
    /// With `start = exec` the program's `main` runs in each worker too: there
    /// [`ServerBuilder::bind`] binds nothing and answers with the ports of the server, and this
    /// never returns. What `main` does before this it does in every worker.
    ///
    /// Call it early in `main`: the process must not have started threads, because it forks. When
    /// it returns the process is as it was (signals, name, limits, panic hook), its own children
    /// are its own, and it may run another server.
    ///
    /// ```no_run
    /// use ostler::{Handler, Outcome, Package, Server, Session, Worker};
    ///
    /// struct Echo;
    ///
    /// impl Handler for Echo {
    ///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
    ///         Ok(session.send(package)?)
    ///     }
    /// }
    ///
    /// fn main() -> ostler::Exit {
    ///     let server = Server::builder().listen("127.0.0.1:9501").bind();
    ///     server.and_then(|server| server.run(|_| Echo)).into()
    /// }
    /// ```
    ///
    /// # Errors
    /// When the server cannot start, or its managers are lost; see [`crate::Error::exit_code`].
    pub fn run<R, F>(self, make: F) -> Result<()>
    where
        R: IntoHandler,
        F: Fn(&Worker) -> R + 'static,
    {
        match self.role {
            Role::Master(bound) => master::run(*bound, make),
            Role::Worker(hired) => master::work(*hired, make),
        }
    }
}
