//! How a program ends because of its server.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, Termination};

use super::builder::ServerBuilder;
use super::outcome::IntoHandler;
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::sys::signal::Held;

/// What `main` returns: the program ends with the documented exit code ([`Error::exit_code`], or
/// 0), and a server that failed says why in one sentence on standard error.
///
/// A `main` that returns a plain [`Result`] ends with code 1 whatever the reason, because the
/// standard library knows no other code for errors.
///
/// ```no_run
/// # use ostler::{Handler, Outcome, Package, Server, Session, Worker};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome { Ok(()) }
/// # }
/// fn serve() -> ostler::Result<()> {
///     let server = Server::builder().listen("127.0.0.1:9501").bind()?;
///     server.run(|_| Echo)
/// }
///
/// fn main() -> ostler::Exit {
///     serve().into()
/// }
/// ```
#[must_use = "return it from `main`"]
pub struct Exit {
    result: Result<()>,
}

/// Binds and runs a server, so that a whole `main` is one expression.
///
/// Like [`crate::Server::run`], call it before the program starts any thread. Use
/// [`ServerBuilder::bind`] and [`crate::Server::run`] instead to do something between the two, or
/// to handle the error.
///
/// ```no_run
/// # use ostler::{Handler, Outcome, Package, Server, Session, Worker};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome { Ok(()) }
/// # }
/// fn main() -> ostler::Exit {
///     ostler::run_main(Server::builder().listen("127.0.0.1:9501"), |_| Echo)
/// }
/// ```
pub fn run_main<R, F>(builder: ServerBuilder, make: F) -> Exit
where
    R: IntoHandler,
    F: Fn(&Worker) -> R + 'static,
{
    // Nothing comes after the server, so a TERM that comes while it ends must not spoil the exit
    // code.
    let _ = Held::new().map(std::mem::forget);
    builder.bind().and_then(|server| server.run(make)).into()
}

impl Exit {
    /// The code with which the program will end: 0, or [`Error::exit_code`].
    ///
    /// ```
    /// let exit = ostler::Exit::from(ostler::Error::usage("write: chat [--colour NAME]"));
    /// assert_eq!(exit.code(), ostler::EXIT_OPTION);
    /// ```
    #[must_use]
    pub fn code(&self) -> u8 {
        self.result.as_ref().map_or_else(Error::exit_code, |()| 0)
    }
}

impl From<Result<()>> for Exit {
    fn from(result: Result<()>) -> Self {
        Self { result }
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        Self { result: Err(error) }
    }
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(()) => f.write_str("Exit 0"),
            Err(error) => write!(f, "Exit {}: {error}", error.exit_code()),
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        if let Err(error) = &self.result {
            // One write, so that lines of other processes do not get in between. Where nobody can
            // read the sentence the code still tells.
            let line = format!("{}: {error}\n", program_name());
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        ExitCode::from(self.code())
    }
}

/// The name by which this program was started, without its directories.
fn program_name() -> String {
    let started_as = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&started_as).file_name().unwrap_or_default().to_string_lossy();
    if name.is_empty() { "server".to_owned() } else { name.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handler, Outcome, Package, Server, Session};

    struct Silent;

    impl Handler for Silent {
        fn on_receive(
            &mut self,
            _worker: &Worker,
            _session: &Session,
            _package: &Package,
        ) -> Outcome {
            Ok(())
        }
    }

    #[test]
    fn a_good_end_is_code_0() {
        let exit = Exit::from(Ok(()));
        assert_eq!((exit.code(), format!("{exit:?}").as_str()), (0, "Exit 0"));
    }

    #[test]
    fn main_as_one_expression_ends_with_the_code_of_the_error() {
        let wrong_option = run_main(Server::builder().set("workers", 0), |_| Silent);
        assert_eq!(wrong_option.code(), crate::EXIT_OPTION);
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        let port_in_use = run_main(Server::builder().listen(&address), |_| Silent);
        assert_eq!(port_in_use.code(), crate::EXIT_LISTEN);
        assert!(format!("{port_in_use:?}").contains(&address));
    }
}
