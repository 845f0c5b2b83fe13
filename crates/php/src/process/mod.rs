//! `Process`: a process of the program's own, beside a server (`Server::addProcess`) or by itself
//! (`start`), with a pipe to it.

mod control;
mod pipe;
pub(crate) mod signals;

use std::cell::Cell;
use std::os::unix::process::CommandExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use ext_php_rs::ffi::zend_object;
use ext_php_rs::zend::try_catch;
use rustix::io::Errno;

use crate::errors::{self, code};
use crate::server::current;
use crate::zend::call::{Call, handler, text};
use crate::zend::callable::Callable;
use crate::zend::class::{
    Class, DYNAMIC_PROPERTIES, Default, Function, NOT_SERIALIZABLE, PRIVATE, PUBLIC, Parameter,
    Property, kind, method, optional, required, static_method,
};
use crate::zend::fault::{self, Uncaught};
use crate::zend::message::{throw_error, warning};
use crate::zend::object::{self, Embedded, Handlers, Slot};
use crate::zend::{Thrown, function, globals, interrupt, process, value};
use pipe::{Pipe, PipeKind, Side};

/// Most bytes of one `read`.
const READ_BYTES_MAX: i64 = 65_536;

/// `Process::PIPE_*`, `Process::IPC_NOWAIT`.
const NUMBERS: &[(&str, i64)] = &[
    ("IPC_NOWAIT", 256),
    ("PIPE_MASTER", 1),
    ("PIPE_WORKER", 2),
    ("PIPE_READ", 3),
    ("PIPE_WRITE", 4),
];

const EXEC: &[Parameter] = &[required(c"exec_file", kind::STRING), required(c"args", kind::ARRAY)];
const SIGNAL: &[Parameter] =
    &[required(c"signal_no", kind::INT), optional(c"callback", kind::MIXED, c"null")];
const PRIORITY: &[Parameter] = &[
    required(c"which", kind::INT),
    required(c"priority", kind::INT),
    optional(c"who", kind::INT | kind::NULL, c"null"),
];
const WHOSE: &[Parameter] =
    &[required(c"which", kind::INT), optional(c"who", kind::INT | kind::NULL, c"null")];
const CONSTRUCT: &[Parameter] = &[
    required(c"callback", kind::CALLABLE),
    optional(c"redirect_stdin_and_stdout", kind::BOOL, c"false"),
    optional(c"pipe_type", kind::INT, c"2"),
    optional(c"enable_coroutine", kind::BOOL, c"false"),
];
const DAEMON: &[Parameter] = &[
    optional(c"nochdir", kind::BOOL, c"true"),
    optional(c"noclose", kind::BOOL, c"true"),
    optional(c"pipes", kind::ARRAY, c"[]"),
];
const KILL: &[Parameter] = &[required(c"pid", kind::INT), optional(c"signal_no", kind::INT, c"15")];

const METHODS: &[Function] = &[
    method(c"__construct", handler!(construct), CONSTRUCT, kind::NONE),
    method(c"start", handler!(start), &[], kind::INT | kind::FALSE),
    method(c"read", handler!(read), &[optional(c"size", kind::INT, c"8192")], TEXT),
    method(c"write", handler!(write), &[required(c"data", kind::STRING)], NUMBER),
    method(c"close", handler!(close), &[optional(c"which", kind::INT, c"0")], kind::BOOL),
    method(c"exit", handler!(exit), &[optional(c"exit_code", kind::INT, c"0")], kind::BOOL),
    method(c"exec", handler!(exec), EXEC, kind::BOOL),
    method(c"name", handler!(name), &[required(c"process_name", kind::STRING)], kind::BOOL),
    method(c"set", handler!(set), &[required(c"settings", kind::ARRAY)], kind::VOID),
    method(c"setTimeout", handler!(timeout), &[required(c"seconds", kind::FLOAT)], kind::BOOL),
    method(c"setBlocking", handler!(blocking), &[required(c"blocking", kind::BOOL)], kind::VOID),
    method(c"setPriority", handler!(set_priority), PRIORITY, kind::BOOL),
    method(c"getPriority", handler!(priority), WHOSE, NUMBER),
    static_method(c"kill", handler!(control::kill), KILL, kind::BOOL),
    static_method(
        c"wait",
        handler!(control::wait),
        &[optional(c"blocking", kind::BOOL, c"true")],
        kind::ARRAY | kind::FALSE,
    ),
    static_method(c"signal", handler!(signals::signal), SIGNAL, kind::BOOL),
    static_method(
        c"alarm",
        handler!(control::alarm),
        &[required(c"usec", kind::INT), optional(c"type", kind::INT, c"0")],
        kind::BOOL,
    ),
    static_method(c"daemon", handler!(control::daemon), DAEMON, kind::BOOL),
    static_method(
        c"setAffinity",
        handler!(control::set_affinity),
        &[required(c"cpu_settings", kind::ARRAY)],
        kind::BOOL,
    ),
    static_method(c"getAffinity", handler!(control::affinity), &[], kind::ARRAY),
];

const TEXT: u32 = kind::STRING | kind::FALSE;
const NUMBER: u32 = kind::INT | kind::FALSE;

/// The places of the properties.
mod slot {
    pub(super) const PIPE: usize = 0;
    pub(super) const PID: usize = 3;
    pub(super) const ID: usize = 4;
    pub(super) const CALLBACK: usize = 5;
}

const fn property(name: &'static str, flags: u32) -> Property {
    Property { name, kind: kind::NONE, default: Default::Null, flags }
}

/// In the order of [`slot`].
const PROPERTIES: [Property; 6] = [
    property("pipe", PUBLIC),
    property("msgQueueId", PUBLIC),
    property("msgQueueKey", PUBLIC),
    property("pid", PUBLIC),
    property("id", PUBLIC),
    property("callback", PRIVATE),
];

/// A process, before it runs and while it does, on both sides.
pub(crate) struct ProcessState {
    object: *mut zend_object,
    callback: Callable,
    /// Its standard input and output are the pipe.
    is_redirected: bool,
    pipe: Option<Pipe>,
    /// This side is the process.
    is_inside: Cell<bool>,
}

static HANDLERS: Handlers<ProcessState> = Handlers::new();

impl Embedded for ProcessState {
    fn handlers() -> &'static Handlers<Self> {
        &HANDLERS
    }
}

/// Declares the class.
pub(crate) fn declare() -> Class {
    let class = Class::declare("Ostler\\Process", std::ptr::null_mut(), METHODS)
        .flags(DYNAMIC_PROPERTIES | NOT_SERIALIZABLE)
        .properties(&PROPERTIES)
        .numbers(NUMBERS);
    object::embed::<ProcessState>(class.entry());
    class
}

impl ProcessState {
    /// The place of a property.
    fn slot(&self, number: usize) -> Slot {
        // SAFETY: the object's class is the process's or extends it, whose properties come first.
        unsafe { object::slot(self.object, number) }
    }

    const fn side(&self) -> Side {
        if self.is_inside.get() { Side::Inside } else { Side::Maker }
    }

    /// Runs the program's function, in the process that this has become. Does not return when that
    /// has ended the process.
    pub(crate) fn run(&self, id: Option<i64>) {
        self.is_inside.set(true);
        let pid = i64::from(rustix::process::getpid().as_raw_nonzero().get());
        self.slot(slot::PID).set_long(pid);
        if let Some(id) = id {
            self.slot(slot::ID).set_long(id);
        }
        if let Some(pipe) = &self.pipe {
            pipe.close(Side::Maker);
            if let Some(number) = pipe.number(Side::Inside) {
                self.slot(slot::PIPE).set_long(number);
            }
            if self.is_redirected
                && let Err(error) = pipe.become_standard()
            {
                crate::errors::warn_of_failure("dup2()", error);
            }
        }
        let mut result = ext_php_rs::types::Zval::new();
        let callback = self.slot(slot::CALLBACK);
        self.callback.call(callback, &mut [value::object(self.object)], &mut result);
        drop(result);
        fault::after_call(Uncaught::Ends);
    }
}

/// The process of an object, if it is one; its constructor has to have run.
pub(crate) fn of<'a>(object: *mut zend_object) -> Option<Result<&'a ProcessState, Thrown>> {
    object::has::<ProcessState>(object).then(|| {
        // SAFETY: it was just looked whether the object has one.
        unsafe { object::get::<ProcessState>(object) }
            .ok_or_else(|| throw_error("must call the constructor first"))
    })
}

fn state<'a>(call: &Call<'_>) -> Result<&'a ProcessState, Thrown> {
    of(call.this()).unwrap_or_else(|| Err(throw_error("this is no process")))
}

/// The pipe, which has to be there; otherwise the call returns false.
fn pipe<'a>(call: &mut Call<'_>, what: &str) -> Result<Option<(&'a Pipe, Side)>, Thrown> {
    let state = state(call)?;
    let side = state.side();
    match state.pipe.as_ref().filter(|pipe| pipe.end(side).is_some()) {
        Some(pipe) => Ok(Some((pipe, side))),
        None => {
            warning(&format!("no pipe, {what}"));
            call.result().set_bool(false);
            Ok(None)
        }
    }
}

fn failed(call: &mut Call<'_>, what: &str, error: Errno) -> Result<(), Thrown> {
    errors::set(i64::from(error.raw_os_error()));
    crate::errors::warn_of_failure(what, error);
    call.returns_bool(false)
}

/// `Process::__construct(callable $callback, bool $redirect_stdin_and_stdout = false, int
/// $pipe_type = 2, bool $enable_coroutine = false)`
fn construct(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 4)?;
    let this = call.this();
    // SAFETY: this is a method of the class.
    if unsafe { object::get::<ProcessState>(this) }.is_some() {
        return Err(throw_error("Constructor of Ostler\\Process can only be called once"));
    }
    let given = call.callable()?;
    let is_redirected = call.bool_or(false)?;
    let kind = call.long_or(2)?;
    let _coroutine = call.bool_or(false)?;
    if !process::is_command_line() {
        return Err(throw_error("Ostler\\Process can only be used in the command line of PHP"));
    }
    let kind = match kind {
        _ if is_redirected => Some(PipeKind::Stream),
        1 => Some(PipeKind::Stream),
        kind if kind > 0 => Some(PipeKind::Messages),
        _ => None,
    };
    let pipe = kind.map(Pipe::new).transpose();
    let pipe = pipe.map_err(|error| {
        throw_error(&format!(
            "failed to create the pipe, Error: {}",
            crate::errors::of_system(error)
        ))
    })?;
    let number = pipe.as_ref().and_then(|pipe| pipe.number(Side::Maker));
    let (callback, is_inside) = (Callable::default(), Cell::new(false));
    let state = ProcessState { object: this, callback, is_redirected, pipe, is_inside };
    state.slot(slot::CALLBACK).set(given);
    state.callback.bind(state.slot(slot::CALLBACK));
    if let Some(number) = number {
        state.slot(slot::PIPE).set_long(number);
    }
    // SAFETY: this is a method of the class, whose object has no value yet.
    unsafe { object::set(this, state) };
    Ok(())
}

/// `Process::start(): int|false`
fn start(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let state = state(call)?;
    if let Some(pid) = state.slot(slot::PID).long().and_then(|pid| i32::try_from(pid).ok())
        // SAFETY: two numbers; the signal 0 only asks whether the process is there.
        && unsafe { libc::kill(pid, 0) } == 0
    {
        warning("process has already been started");
        return call.returns_bool(false);
    }
    // SAFETY: this is PHP's only thread, which alone goes on in the child, as with `pcntl_fork`;
    // locks of the C library are free there, and the extension's own threads hold no other.
    match unsafe { libc::fork() } {
        0 => live(state),
        -1 => {
            let error = std::io::Error::last_os_error();
            errors::set(i64::from(error.raw_os_error().unwrap_or(0)));
            crate::errors::warn_of_failure("fork()", error);
            call.returns_bool(false)
        }
        pid => {
            state.slot(slot::PID).set_long(i64::from(pid));
            // Its end is the child's alone: who reads hears when the child ends.
            if let Some(pipe) = &state.pipe {
                pipe.close(Side::Inside);
            }
            call.returns_long(i64::from(pid))
        }
    }
}

/// The life of a process that was forked from the program.
fn live(state: &ProcessState) -> ! {
    process::discard_output();
    process::begin(crate::timer::forget_all);
    signals::begin();
    signals::forget_callbacks();
    if let Some(server) = current() {
        server.disown();
    }
    let ran = try_catch(AssertUnwindSafe(|| state.run(None)));
    if ran.is_err() {
        fault::after_bailout();
    }
    process::end(0)
}

/// `Process::read(int $size = 8192): string|false`
fn read(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let size = call.long_or(8_192)?.clamp(1, READ_BYTES_MAX);
    let Some((pipe, side)) = pipe(call, "unable to read from the process")? else { return Ok(()) };
    match pipe.read(side, usize::try_from(size).unwrap_or(0)) {
        Ok(bytes) => {
            call.result().set_binary(bytes);
            Ok(())
        }
        // The callback of the signal runs when this has returned.
        Err(Errno::INTR) => call.returns_bool(false),
        Err(error) => failed(call, "read()", error),
    }
}

/// `Process::write(string $data): int|false`
fn write(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let bytes = call.bytes()?.unwrap_or_default();
    if bytes.is_empty() {
        errors::set(code::NO_PAYLOAD);
        warning("the data to send is empty");
        return call.returns_bool(false);
    }
    let Some((pipe, side)) = pipe(call, "unable to write into the process")? else {
        return Ok(());
    };
    match pipe.write(side, bytes) {
        Ok(count) => call.returns_long(i64::try_from(count).unwrap_or(0)),
        Err(error) => failed(call, "write()", error),
    }
}

/// `Process::close(int $which = 0): bool`
fn close(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let which = call.long_or(0)?;
    let state = state(call)?;
    let Some(pipe) = &state.pipe else {
        warning("no pipe, cannot close the pipe");
        return call.returns_bool(false);
    };
    let closed = match which {
        0 => [Side::Maker, Side::Inside].map(|side| pipe.close(side)).contains(&true),
        1 => pipe.close(Side::Maker),
        2 => pipe.close(Side::Inside),
        3 | 4 => pipe.shut(state.side(), which == 3).is_ok(),
        _ => false,
    };
    if !closed {
        warning("no pipe, cannot close the pipe");
    }
    call.returns_bool(closed)
}

/// `Process::exit(int $exit_code = 0)`: ends this process, in which alone it may be called.
fn exit(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let code = call.long_or(0)?;
    if !state(call)?.is_inside.get() {
        warning("not current process");
        return call.returns_bool(false);
    }
    let status = i32::try_from(code).ok().filter(|code| (0..256).contains(code));
    if status.is_none() {
        warning("exit ret_code range is [>0 and < 255]");
    }
    globals::set_exit_status(status.unwrap_or(1));
    interrupt::throw_exit();
    Err(Thrown)
}

/// `Process::exec(string $exec_file, array $args): bool`: returns when it has failed only.
fn exec(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let file = call.text_or("")?;
    let arguments = call.array()?;
    if file.is_empty() {
        warning("exec file name is empty");
        return call.returns_bool(false);
    }
    // A path, never a name to be looked for.
    let file = if file.contains('/') { file } else { format!("./{file}") };
    let mut command = std::process::Command::new(&file);
    for argument in arguments.values() {
        let Some(argument) = value::Scalar(argument).text() else {
            warning("arguments have to be texts");
            return call.returns_bool(false);
        };
        command.arg(argument);
    }
    process::flush_output();
    let error = command.exec();
    errors::set(i64::from(error.raw_os_error().unwrap_or(0)));
    crate::errors::warn_of_failure(&format!("execv({file})"), error);
    call.returns_bool(false)
}

/// `Process::name(string $process_name): bool`, `swoole_set_process_name`
pub(crate) fn name(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let name = call.bytes()?.map(text).unwrap_or_default();
    let mut title = ext_php_rs::types::Zval::new();
    let _ = title.set_string(&name, false);
    let done = function::call("cli_set_process_title", vec![title]);
    call.returns_bool(done.and_then(|done| done.bool()).unwrap_or(false))
}

/// `Process::set(array $settings): void`: there are no coroutines to be switched on.
fn set(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    state(call)?;
    call.array().map(|_| ())
}

/// `Process::setTimeout(float $seconds): bool`
fn timeout(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let seconds = call.float_or(0.0)?;
    let Some((pipe, side)) = pipe(call, "cannot set the timeout")? else { return Ok(()) };
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero());
    match pipe.set_timeout(side, timeout) {
        Ok(()) => call.returns_bool(true),
        Err(error) => failed(call, "setsockopt()", error),
    }
}

/// `Process::setBlocking(bool $blocking): void`
fn blocking(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let blocking = call.bool_or(true)?;
    let Some((pipe, side)) = pipe(call, "cannot set blocking")? else {
        call.result().set_null();
        return Ok(());
    };
    if let Err(error) = pipe.set_blocking(side, blocking) {
        crate::errors::warn_of_failure("ioctl()", error);
    }
    Ok(())
}

/// Whom a question about a process is about when nobody is named.
fn own(call: &Call<'_>) -> Result<i64, Thrown> {
    Ok(state(call)?.slot(slot::PID).long().unwrap_or(0))
}

fn set_priority(call: &mut Call<'_>) -> Result<(), Thrown> {
    let own = own(call)?;
    control::set_priority(call, own)
}

fn priority(call: &mut Call<'_>) -> Result<(), Thrown> {
    let own = own(call)?;
    control::priority(call, own)
}
