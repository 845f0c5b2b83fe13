//! User processes: functions of the program's own that run beside the workers.

use std::any::{Any, TypeId};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ostler_core::supervisor::{Restart, SingleSettings};

use super::builder::ServerBuilder;
use super::message::Message;
use super::outcome::Outcome;
use super::undelivered::Undelivered;
use super::worker::Worker;

/// Longest name of a user process.
const NAME_BYTES_MAX: usize = 32;
/// Most user processes of a server.
pub(crate) const USER_PROCESSES_MAX: u16 = 64;

/// What a user process is made of, when it is more than a function ([`UserProcess::function`]). One
/// value lives in the process, made there when that has started.
///
/// A panic or an error ends the process; whether another one follows is said by
/// [`UserProcess::restart`].
///
/// ```
/// use std::time::Duration;
/// use ostler::{Outcome, ProcessBody, Server, UserProcess, Worker};
///
/// /// Tells everybody the time.
/// struct Clock {
///     told: u64,
/// }
///
/// impl ProcessBody for Clock {
///     fn run(&mut self, worker: &Worker) -> Outcome {
///         worker.every::<Self>(Duration::from_secs(1), |clock, worker| {
///             clock.told += 1;
///             for session in worker.sessions() {
///                 let _ = session.send(format!("{} s\n", clock.told).as_bytes());
///             }
///             Ok(())
///         });
///         Ok(()) // the timer keeps the process
///     }
/// }
///
/// let builder = Server::builder().process(UserProcess::new("clock", |_| Clock { told: 0 }));
/// ```
#[allow(unused_variables)] // names are documentation for those who implement them
pub trait ProcessBody: Sized + 'static {
    /// The process has started: open what it needs. It counts as ready when this returns.
    ///
    /// # Errors
    /// Whatever keeps the process from its work; it is logged, and the process ends.
    fn on_start(&mut self, worker: &Worker) -> Outcome {
        Ok(())
    }

    /// The work. It may take as long as the process lives: then it looks at
    /// [`Worker::is_leaving`] now and then, or sleeps by [`Worker::wait`]. Or it returns soon, and
    /// timers ([`Worker::every`]), closures of other threads ([`Worker::remote`]) and
    /// [`Worker::keep_alive`] keep the process. They have their turn when this has returned.
    ///
    /// When it has returned and nothing keeps the process it ends, with code 0.
    ///
    /// # Errors
    /// The process ends at once, with another code than 0; the error is logged.
    fn run(&mut self, worker: &Worker) -> Outcome;

    /// Another process of the server has sent a message ([`Worker::send_message`]), and
    /// [`ProcessBody::run`] has returned. While it runs it takes messages itself
    /// ([`Worker::wait_for_message`]).
    ///
    /// # Errors
    /// An error is logged (a few in a time, the others are counted), and nothing else.
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        Err("a message came and the process has no on_message".into())
    }

    /// A message of this process did not reach its receiver: [`Undelivered::error`] tells why.
    ///
    /// # Errors
    /// An error is logged, and nothing else: so it is unless this says otherwise.
    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        Err(undelivered.error().into())
    }

    /// The process is to leave, and [`ProcessBody::run`] has returned: give back
    /// [`crate::KeepAlive`] tokens. It has `drain_timeout_ms` from when it was told.
    fn on_exit(&mut self, worker: &Worker) {}

    /// The process ends now, in good order.
    fn on_stop(&mut self, worker: &Worker) {}
}

/// A process of the server that serves no clients: it reads a queue, tells everybody the time,
/// watches a database. It may send to every session, has timers and threads as a worker has
/// ([`Worker`]), and is supervised as workers are: it dies alone, and another one takes its place.
/// There are never two of it at a time.
///
/// Reloads leave it alone unless [`UserProcess::follows_reload`] is said. When the server ends it
/// is told after the last event worker has ended.
///
/// Who is told to leave gets a TERM as well: it ends a program that the process has become by exec,
/// and lets code with a handler of its own for that signal end a call that blocks.
///
/// ```no_run
/// use std::time::Duration;
/// use ostler::{Restart, Server, UserProcess};
/// # struct Echo;
/// # impl ostler::Handler for Echo {
/// #     fn on_receive(
/// #         &mut self, _: &ostler::Worker, _: &ostler::Session, _: &ostler::Package,
/// #     ) -> ostler::Outcome {
/// #         Ok(())
/// #     }
/// # }
///
/// fn main() -> ostler::Exit {
///     let ticker = UserProcess::function("ticker", |worker| {
///         while worker.wait(Duration::from_secs(1)) {
///             for session in worker.sessions() {
///                 let _ = session.send(b"tick\n"); // who is gone or reads too slowly misses it
///             }
///         }
///         Ok(())
///     });
///     let server = Server::builder().process(ticker.restart(Restart::OnFailure));
///     ostler::run_main(server, |_| Echo)
/// }
/// ```
#[derive(Clone)]
pub struct UserProcess {
    name: String,
    restart: Restart,
    /// Of the server, unless said here.
    back_off: Option<(Duration, Duration)>,
    is_reloaded: bool,
    factory: BodyFactory,
}

impl fmt::Debug for UserProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserProcess")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

impl UserProcess {
    /// A process called `name` whose body is made by `make`, in each process anew. The name is up
    /// to 32 small letters, digits, `_` and `-`; `ps` shows it (`ostler: user NAME`), and logs do.
    ///
    /// ```
    /// # use ostler::{Outcome, ProcessBody, UserProcess, Worker};
    /// struct Cleaner;
    ///
    /// impl ProcessBody for Cleaner {
    ///     fn run(&mut self, _: &Worker) -> Outcome {
    ///         Ok(std::fs::remove_dir_all("/var/tmp/it")?)
    ///     }
    /// }
    ///
    /// let cleaner = UserProcess::new("cleaner", |_| Cleaner);
    /// ```
    #[must_use]
    pub fn new<B: ProcessBody>(name: &str, make: impl Fn(&Worker) -> B + 'static) -> Self {
        Self::with(
            name,
            BodyFactory {
                type_id: TypeId::of::<B>(),
                make: Rc::new(move |worker| Box::new(make(worker))),
            },
        )
    }

    /// A process called `name` that runs a function. Timers and closures that it makes are of the
    /// type `()`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::UserProcess;
    /// let hourly = UserProcess::function("hourly", |worker| {
    ///     worker.every::<()>(Duration::from_secs(3_600), |(), worker| {
    ///         println!("{} sessions", worker.sessions().len());
    ///         Ok(())
    ///     });
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn function(name: &str, run: impl Fn(&Worker) -> Outcome + 'static) -> Self {
        let run: Rc<dyn Fn(&Worker) -> Outcome> = Rc::new(run);
        Self::with(
            name,
            BodyFactory {
                type_id: TypeId::of::<()>(),
                make: Rc::new(move |_| Box::new(Function { run: Rc::clone(&run), nothing: () })),
            },
        )
    }

    fn with(name: &str, factory: BodyFactory) -> Self {
        let (restart, back_off) = (Restart::Always, None);
        Self { name: name.to_owned(), restart, back_off, is_reloaded: false, factory }
    }

    /// When it is started again after it has ended by itself: [`Restart::Always`] unless said here.
    ///
    /// ```
    /// # use ostler::{Restart, UserProcess};
    /// let once = UserProcess::function("migrate", |_| Ok(())).restart(Restart::Never);
    /// ```
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// The pauses before it is started again: the first one, which doubles each time, and the
    /// longest. A process that has lived for as long as the longest begins with the first again.
    /// Those of `back_off_min_ms` and `back_off_max_ms` unless said here.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::UserProcess;
    /// let patient = UserProcess::function("import", |_| Err("no database".into()))
    ///     .back_off(Duration::from_secs(1), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn back_off(self, first: Duration, longest: Duration) -> Self {
        Self { back_off: Some((first, longest)), ..self }
    }

    /// A reload replaces it, too, when all workers are new: it is told to leave, and the next one
    /// starts when it has ended, whatever its restart policy says.
    ///
    /// ```
    /// # use ostler::UserProcess;
    /// let fresh = UserProcess::function("feed", |_| Ok(())).follows_reload(true);
    /// ```
    #[must_use]
    pub fn follows_reload(self, follows: bool) -> Self {
        Self { is_reloaded: follows, ..self }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it is supervised, with the pauses of the server.
    pub(crate) fn settings(&self, server: (u64, u64)) -> SingleSettings {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (min, max) = self.back_off.map_or(server, |(min, max)| (millis(min), millis(max)));
        SingleSettings {
            restart: self.restart,
            // Without any pause a process that ends at once would keep the manager busy.
            back_off_min_ms: min.max(1),
            back_off_max_ms: max.max(min).max(1),
            is_reloaded: self.is_reloaded,
        }
    }

    /// Makes its body.
    pub(crate) const fn factory(&self) -> &BodyFactory {
        &self.factory
    }

    fn has_good_name(&self) -> bool {
        let is_good =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        (1..=NAME_BYTES_MAX).contains(&self.name.len()) && self.name.bytes().all(is_good)
    }
}

impl ServerBuilder {
    /// Adds a process that runs beside the workers, see [`UserProcess`]. At most 64 of them.
    ///
    /// ```
    /// use ostler::{Server, UserProcess};
    ///
    /// let builder = Server::builder()
    ///     .process(UserProcess::function("hello", |_| Ok(println!("hello"))));
    /// ```
    #[must_use]
    pub fn process(mut self, process: UserProcess) -> Self {
        let name = process.name();
        if !process.has_good_name() {
            self.layers.object(format!(
                "`{name}` is no name of a process: take up to {NAME_BYTES_MAX} small letters, \
                 digits, `_` and `-`"
            ));
        } else if self.processes.iter().any(|known| known.name() == name) {
            self.layers.object(format!(
                "the program names two processes `{name}`: give one of them another name"
            ));
        } else if self.processes.len() >= usize::from(USER_PROCESSES_MAX) {
            self.layers.object(format!(
                "the process `{name}` is one too many: a server has at most {USER_PROCESSES_MAX}"
            ));
        }
        self.processes.push(process);
        self
    }
}

type MakeBody = dyn Fn(&Worker) -> Box<dyn AnyBody>;

/// Makes the body of a process.
#[derive(Clone)]
pub(crate) struct BodyFactory {
    /// For whom its timers are.
    pub(crate) type_id: TypeId,
    make: Rc<MakeBody>,
}

impl BodyFactory {
    pub(crate) fn make(&self, worker: &Worker) -> Box<dyn AnyBody> {
        (self.make)(worker)
    }
}

/// A [`ProcessBody`] of a type that is forgotten.
pub(crate) trait AnyBody {
    fn on_start(&mut self, worker: &Worker) -> Outcome;
    fn run(&mut self, worker: &Worker) -> Outcome;
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome;
    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome;
    fn on_exit(&mut self, worker: &Worker);
    fn on_stop(&mut self, worker: &Worker);
    /// It, for a callback that knows its type.
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<B: ProcessBody> AnyBody for B {
    fn on_start(&mut self, worker: &Worker) -> Outcome {
        ProcessBody::on_start(self, worker)
    }

    fn run(&mut self, worker: &Worker) -> Outcome {
        ProcessBody::run(self, worker)
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        ProcessBody::on_message(self, worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        ProcessBody::on_undelivered(self, worker, undelivered)
    }

    fn on_exit(&mut self, worker: &Worker) {
        ProcessBody::on_exit(self, worker);
    }

    fn on_stop(&mut self, worker: &Worker) {
        ProcessBody::on_stop(self, worker);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The body of a process that is a function.
struct Function {
    run: Rc<dyn Fn(&Worker) -> Outcome>,
    /// What callbacks are given.
    nothing: (),
}

impl AnyBody for Function {
    fn on_start(&mut self, _: &Worker) -> Outcome {
        Ok(())
    }

    fn run(&mut self, worker: &Worker) -> Outcome {
        (self.run)(worker)
    }

    fn on_message(&mut self, _: &Worker, _: &Message) -> Outcome {
        Err("a message came, and a function takes messages itself".into())
    }

    fn on_undelivered(&mut self, _: &Worker, undelivered: &Undelivered) -> Outcome {
        Err(undelivered.error().into())
    }

    fn on_exit(&mut self, _: &Worker) {}

    fn on_stop(&mut self, _: &Worker) {}

    fn as_any(&mut self) -> &mut dyn Any {
        &mut self.nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;

    #[test]
    fn names_that_nobody_could_use_are_refused() {
        let process = |name: &str| UserProcess::function(name, |_| Ok(()));
        let long = "x".repeat(33);
        for name in ["", "Clock", "a b", "a/b", long.as_str()] {
            let error = Server::builder().process(process(name)).into_parts().unwrap_err();
            assert!(error.is_option() && error.to_string().contains("no name"), "{error}");
        }
        let twice = Server::builder().process(process("a")).process(process("a"));
        assert!(twice.into_parts().unwrap_err().to_string().contains("another name"));
        let many = (0..=USER_PROCESSES_MAX).fold(Server::builder(), |builder, number| {
            builder.process(process(&number.to_string()))
        });
        assert!(many.into_parts().unwrap_err().to_string().contains("`64` is one too many"));
    }

    #[test]
    fn pauses_are_those_of_the_server_unless_said() {
        let process = || UserProcess::function("a", |_| Ok(()));
        let settings = process().settings((100, 30_000));
        assert_eq!((settings.back_off_min_ms, settings.back_off_max_ms), (100, 30_000));
        let own = process().back_off(Duration::ZERO, Duration::ZERO).settings((100, 30_000));
        assert_eq!((own.back_off_min_ms, own.back_off_max_ms), (1, 1), "never none");
        assert_eq!(process().settings((1, 2)).restart, Restart::Always);
    }
}
