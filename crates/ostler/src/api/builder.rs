//! Collecting the options of a server.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use super::operator;
use super::own_handler::NamedFactories;
use super::program_code::{ProgramCode, UserProcesses};
use super::server::Server;
use super::server_events::CompanionFactory;
use super::user_process::{USER_PROCESSES_MAX, UserProcess};
use crate::error::{Error, Result};
use crate::inheritance::exec;
use crate::master;
use crate::options::sources::command_line::{self, Argument, Question};
use crate::options::sources::layers::{Layer, Layers, Resolved};
use crate::options::sources::show;
use crate::options::{Options, on_one_line};

/// Options of a server to be. Values are checked by [`ServerBuilder::bind`], which tells all wrong
/// ones at once.
///
/// Each option has a typed method here; [`ServerBuilder::set`] takes any of them as text.
/// `docs/OPTIONS.md` lists them with limits, units and reasons.
///
/// ```no_run
/// use std::time::Duration;
/// use ostler::{CrashPolicy, Dispatch, Framing, Server};
///
/// let server = Server::builder()
///     .listen("127.0.0.1:9501")
///     .framing(Framing::lines())
///     .dispatch(Dispatch::SessionHash)
///     .crash_policy(CrashPolicy::Redeliver(3))
///     .drain_timeout(Duration::from_secs(30))
///     .memory_budget(256 << 20)
///     .set("log_level", "debug")
///     .bind()?;
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ServerBuilder {
    pub(super) layers: Layers,
    question: Option<Question>,
    help: String,
    demands: Demands,
    /// The ports that the program itself names.
    pub(super) port_names: Vec<String>,
    /// The handlers that ports have for themselves.
    pub(super) own_handlers: NamedFactories,
    /// What runs beside the workers.
    pub(super) processes: Vec<UserProcess>,
    /// What is told of the life of the server.
    pub(super) companion: Option<CompanionFactory>,
}

/// What the program itself demands of its options.
#[derive(Default)]
struct Demands(Vec<Demand>);

type Demand = Box<dyn Fn(&Options) -> std::result::Result<(), String>>;

impl std::fmt::Debug for Demands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} demands", self.0.len())
    }
}

impl ServerBuilder {
    /// Begins with these options.
    ///
    /// ```
    /// use ostler::{Options, Server};
    ///
    /// let mut options = Options::default();
    /// options.set("workers", "8")?;
    /// let builder = Server::builder().options(options);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.layers.start_with(options);
        self
    }

    /// Sets any option by its name; see [`Options::table`]. A wrong name or value is told by
    /// [`ServerBuilder::bind`].
    ///
    /// ```
    /// let builder = ostler::Server::builder().set("workers", 8).set("memory_budget", "256MiB");
    /// ```
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.layers.say(Layer::Program, name, &value.to_string(), "");
        self
    }

    /// Takes options from a TOML file, one `name = value` a line, and a table `[port.NAME]` for the
    /// options of one port. They replace what the program says itself.
    ///
    /// A file that cannot be read, an unknown name or a wrong value is told by
    /// [`ServerBuilder::bind`], with its line.
    ///
    /// ```toml
    /// listen = "0.0.0.0:9501"
    /// workers = 8
    /// memory_budget = "256MiB"
    /// drain_timeout_ms = "30s"
    /// crash_policy = "redeliver:3"
    ///
    /// [port.admin]
    /// listen = "tcp://127.0.0.1:9502"
    /// framing = "line"
    /// ```
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let name = on_one_line(&path.display().to_string());
        match std::fs::read_to_string(path) {
            Ok(text) => self.layers.say_file(&name, &text),
            Err(error) => self.layers.object(format!("cannot read the file `{name}`: {error}")),
        }
        self
    }

    /// Takes options from environment variables: with the prefix `OSTLER_`, `OSTLER_WORKERS=4` is
    /// `workers = 4`, and `OSTLER_PORT_ADMIN__FRAMING=line` is `framing = "line"` of the port
    /// `admin`. They replace what a file or the program says.
    ///
    /// A variable whose name is nearly that of an option is told by [`ServerBuilder::bind`]; others
    /// are let alone.
    ///
    /// ```
    /// // OSTLER_WORKERS=4 OSTLER_LOG_LEVEL=debug ./server
    /// let builder = ostler::Server::builder().from_env("OSTLER_");
    /// ```
    #[must_use]
    pub fn from_env(mut self, prefix: &str) -> Self {
        self.layers.say_environment(prefix, std::env::vars_os());
        self
    }

    /// Takes options from the arguments of the program, without its name: `--NAME VALUE`,
    /// `--NAME=VALUE`, `--set NAME=VALUE`, `--config FILE`, `--port NAME=URL[,OPTION=VALUE...]`.
    /// They replace what environment, file and program say.
    ///
    /// The program also answers `--help`, `--check` and `--print-options`: [`ServerBuilder::bind`]
    /// then prints the answer on standard output and ends the process with code 0 instead of
    /// returning. An argument that is unknown is told by [`ServerBuilder::bind`]; see
    /// [`ServerBuilder::take_args`] for a program that has arguments of its own.
    ///
    /// ```no_run
    /// # use ostler::{Handler, Outcome, Package, Server, Session, Worker};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome { Ok(()) }
    /// # }
    /// fn main() -> ostler::Exit {
    ///     let server = Server::builder().from_env("OSTLER_").args(std::env::args_os().skip(1));
    ///     ostler::run_main(server, |_| Echo)
    /// }
    /// ```
    #[must_use]
    pub fn args<A: Into<OsString>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        let (mut builder, others) = self.take_args(arguments);
        for other in &others {
            builder.layers.object(command_line::unknown(other));
        }
        builder
    }

    /// As [`ServerBuilder::args`], but gives back what it does not know, in order.
    /// [`ServerBuilder::help`] says what that may be.
    ///
    /// ```
    /// use ostler::Server;
    ///
    /// let (builder, own) = Server::builder().take_args(["--workers=2", "--colour", "red"]);
    /// assert_eq!(own, ["--colour", "red"]);
    /// ```
    pub fn take_args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Self, Vec<OsString>) {
        let mut others = Vec::new();
        for argument in command_line::read(arguments.into_iter().map(Into::into)) {
            match argument {
                Argument::Option { name, value } => {
                    self.layers.say(Layer::CommandLine, &name, &value, "command line");
                }
                Argument::File(path) => self = self.file(path),
                // The first one counts, except that help is always given.
                Argument::Question(Question::Help) => self.question = Some(Question::Help),
                Argument::Question(question) => {
                    self.question.get_or_insert(question);
                }
                Argument::Wrong(problem) => self.layers.object(problem),
                Argument::Other(other) => others.push(other),
            }
        }
        (self, others)
    }

    /// What `--help` says about the program itself and its own arguments, above the list of
    /// options.
    ///
    /// ```
    /// let builder = ostler::Server::builder().help("chat: says everything to everybody");
    /// ```
    #[must_use]
    pub fn help(mut self, text: &str) -> Self {
        text.clone_into(&mut self.help);
        self
    }

    /// Adds what the program itself demands of its options and arguments: an error of `check` is
    /// told by [`ServerBuilder::bind`], and is no valid answer to `--check`. It is asked when the
    /// options are valid otherwise. The text says what is wrong and what to write instead.
    ///
    /// ```
    /// use ostler::Server;
    ///
    /// let server = Server::builder()
    ///     .listen("127.0.0.1:0")
    ///     .args(["--workers", "2"])
    ///     .demand(|options| match options.get("workers").as_deref() {
    ///         Some("1") => Ok(()),
    ///         _ => Err("the data are those of one worker: set workers = 1".to_owned()),
    ///     })
    ///     .bind();
    /// assert!(server.is_err_and(|error| error.is_option()));
    /// ```
    #[must_use]
    pub fn demand(
        mut self,
        check: impl Fn(&Options) -> std::result::Result<(), String> + 'static,
    ) -> Self {
        self.demands.0.push(Box::new(check));
        self
    }

    /// Checks the options and binds the listener.
    ///
    /// In a worker that a server with `start = exec` has started nothing is bound: the server that
    /// this returns has the ports of that one, and becomes a worker of it when it is run.
    ///
    /// With [`ServerBuilder::args`], an argument such as `--help` makes it answer and end the
    /// process instead.
    ///
    /// ```
    /// use ostler::Server;
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let address = server.local_address().socket_address();
    /// assert!(address.is_some_and(|address| address.port() != 0));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// Every option that is wrong, or why the address cannot be listened on.
    pub fn bind(self) -> Result<Server> {
        if let Some(question) = &self.question {
            let (answer, code) = self.answer(question)?;
            say(&answer)?;
            std::process::exit(code);
        }
        let Some(inherited) = exec::take()? else {
            let (options, code) = self.into_parts()?;
            return Ok(Server::new(master::bind(options, code)?));
        };
        let options = self.resolve().inspect_err(|error| inherited.refuse(error))?.options;
        let hired = master::hire(inherited, &options, |options| self.code(options));
        Ok(Server::worker(hired?))
    }

    /// The options, and what the program runs besides the server's handler, without binding
    /// anything.
    ///
    /// # Errors
    /// Every option that is wrong.
    pub(crate) fn into_parts(self) -> Result<(Options, ProgramCode)> {
        let options = self.resolve()?.options;
        let code = self.code(&options);
        Ok((options, code))
    }

    fn code(self, options: &Options) -> ProgramCode {
        let own_handlers = self.own_handlers.resolve(options);
        ProgramCode {
            own_handlers,
            processes: UserProcesses::new(self.processes),
            companion: self.companion,
        }
    }

    fn resolve(&self) -> Result<Resolved> {
        let mut resolved = self.layers.resolve()?;
        // More of them are objected to.
        let processes = u16::try_from(self.processes.len()).unwrap_or(u16::MAX);
        resolved.options.user_processes = processes.min(USER_PROCESSES_MAX);
        resolved.options.has_companion = self.companion.is_some();
        let problems = self.demands.0.iter().filter_map(|check| check(&resolved.options).err());
        let problems: Vec<_> = problems.collect();
        if problems.is_empty() { Ok(resolved) } else { Err(Error::options(&problems)) }
    }

    /// The answer, and with which code the process ends behind it.
    fn answer(&self, question: &Question) -> Result<(String, i32)> {
        if *question == Question::Help {
            // Who needs help may have wrong options; then the defaults are shown.
            let options = self.layers.resolve().map(|resolved| resolved.options);
            let program = crate::options::program_name();
            return Ok((show::help(&program, &self.help, &options.unwrap_or_default()), 0));
        }
        let resolved = self.resolve()?;
        match question {
            Question::Ask(request) => operator::ask(&resolved.options.operator_socket, request),
            Question::PrintOptions => Ok((show::as_toml(&resolved), 0)),
            Question::Help | Question::Check => {
                let (places, plan) =
                    (master::check(&resolved.options)?, resolved.options.memory_plan());
                Ok((format!("the options are valid, {places}\n{plan}"), 0))
            }
        }
    }
}

/// Writes an answer to standard output.
fn say(answer: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(answer.as_bytes()).and_then(|()| out.flush()) {
        // Who asked has read enough (`--help | head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::start("cannot write to standard output", Some(error))),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_every_kind_find_their_place() {
        let words = ["--workers", "3", "--handler", "echo", "--set", "log_level=debug", "--check"];
        let (builder, others) = ServerBuilder::default().workers(9).take_args(words);
        assert_eq!(others, ["--handler", "echo"]);
        assert_eq!(builder.question, Some(Question::Check));
        let options = builder.layers.resolve().unwrap().options;
        assert_eq!(options.get("workers").as_deref(), Some("3"), "stronger than the program");
        assert_eq!(options.get("log_level").as_deref(), Some("debug"));
    }

    #[test]
    fn a_question_is_answered_and_a_wrong_option_is_no_answer() {
        let good = ServerBuilder::default().listen("127.0.0.1:0").workers(2);
        let (text, code) = good.answer(&Question::Check).unwrap();
        assert!(text.starts_with("the options are valid, the address is 127.0.0.1:0\n"), "{text}");
        assert_eq!(code, 0);
        assert!(good.answer(&Question::PrintOptions).unwrap().0.contains("workers = 2 "));
        let wrong = ServerBuilder::default().set("worker", 1);
        assert!(wrong.answer(&Question::Check).unwrap_err().is_option());
        assert!(wrong.answer(&Question::PrintOptions).unwrap_err().is_option());
        assert!(wrong.help("own words").answer(&Question::Help).unwrap().0.contains("own words"));
    }

    #[test]
    fn what_the_program_demands_is_told_with_every_question_but_help() {
        let builder = || {
            let demand = |options: &Options| match options.get("workers").as_deref() {
                Some("1") => Ok(()),
                _ => Err("set workers = 1".to_owned()),
            };
            ServerBuilder::default().listen("127.0.0.1:0").demand(demand)
        };
        builder().workers(1).answer(&Question::Check).unwrap();
        let wrong = builder().workers(2);
        for question in [Question::Check, Question::PrintOptions] {
            let error = wrong.answer(&question).unwrap_err();
            assert!(error.is_option() && error.to_string() == "set workers = 1", "{error}");
        }
        wrong.answer(&Question::Help).unwrap();
        let nowhere = builder().workers(1).answer(&Question::Ask("status".to_owned()));
        assert!(nowhere.unwrap_err().to_string().contains("needs `operator_socket`"));
        assert!(wrong.bind().is_err_and(|error| error.is_option()));
    }

    #[test]
    fn the_place_of_an_option_stays_on_its_line_whatever_it_is_called() {
        let path = std::env::temp_dir().join(format!("ostler-odd\n{}\t", std::process::id()));
        std::fs::write(&path, "workers = 2\nnonsense = 1\n").unwrap();
        let text = ServerBuilder::default().file(&path).layers.resolve().unwrap_err().to_string();
        assert!(text.contains("ostler-odd\\n") && !text.contains(char::is_control), "{text:?}");
        std::fs::write(&path, "workers = 2\n").unwrap();
        let builder = ServerBuilder::default().file(&path);
        let (printed, _) = builder.answer(&Question::PrintOptions).unwrap();
        let mut again = Layers::default();
        again.say_file("printed", &printed);
        again.resolve().unwrap_or_else(|error| panic!("{error} in {printed}"));
        std::fs::remove_file(&path).unwrap();
        let text = ServerBuilder::default().file(&path).layers.resolve().unwrap_err().to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }

    #[test]
    fn strangers_on_the_command_line_and_missing_files_are_told() {
        let wrong = ServerBuilder::default().args(["--worker=3", "x"]).file("/nonexistent/o.toml");
        let text = wrong.layers.resolve().unwrap_err().to_string();
        for words in ["did you mean `--workers`?", "`x` is unknown", "`/nonexistent/o.toml`"] {
            assert!(text.contains(words), "{words} is not in: {text}");
        }
    }
}
