//! `Ostler\Server`: a server that a program of PHP makes, sets up and starts.

mod client_info;
mod commands;
mod companion;
mod connections;
mod construct;
mod events;
mod functions;
mod handler;
mod inherited;
mod lifecycle;
mod messages;
mod objects;
mod options;
mod port;
mod sending;
mod sessions;
mod settings;
mod sock_type;
mod start;
mod state;
mod stats;
mod stats_file;
mod tasks;
mod ticker;
mod user;

use std::cell::Cell;

use ext_php_rs::ffi::zend_class_entry;

use events::SERVER_EVENTS;
use state::{Phase, ServerState};

use crate::zend::Thrown;
use crate::zend::call::{Call, handler};
use crate::zend::class::{
    Class, DYNAMIC_PROPERTIES, Default, Function, NOT_SERIALIZABLE, PRIVATE, PUBLIC, Parameter,
    Property, kind, method, optional, required,
};
use crate::zend::fault::Uncaught;
use crate::zend::message::{throw_error, warning};
use crate::zend::object;

pub(crate) use construct::{current, exception as throw_exception};
pub(crate) use sock_type::SSL;
pub(crate) use ticker::Ticker;

/// The names of all options of the reference.
pub(crate) fn option_names() -> impl Iterator<Item = &'static str> {
    options::table::ROWS.iter().map(|(name, _)| *name)
}

/// Each of them, and in a few words what it is here.
pub(crate) fn options_and_effects() -> impl Iterator<Item = (&'static str, String)> {
    options::table::ROWS.iter().map(|(name, form)| (*name, form.describe()))
}

/// How many options the engine has.
pub(crate) fn engine_option_count() -> usize {
    ostler::Options::table().len()
}

/// What this extension has of classes that are made by others of its files.
pub(crate) struct Classes {
    pub(crate) exception: Cell<*mut zend_class_entry>,
    pub(crate) port: Cell<*mut zend_class_entry>,
    pub(crate) connections: Cell<*mut zend_class_entry>,
    pub(crate) objects: Cell<Option<objects::ObjectClasses>>,
}

// SAFETY: written while the module starts, and read by PHP's only thread.
unsafe impl Sync for Classes {}

pub(crate) static CLASSES: Classes = Classes {
    exception: Cell::new(std::ptr::null_mut()),
    port: Cell::new(std::ptr::null_mut()),
    connections: Cell::new(std::ptr::null_mut()),
    objects: Cell::new(None),
};

const METHODS: &[Function] = &[
    method(
        c"__construct",
        handler!(construct::construct),
        &[
            optional(c"host", kind::STRING, c"'0.0.0.0'"),
            optional(c"port", kind::INT, c"0"),
            optional(c"mode", kind::INT, c"SWOOLE_BASE"),
            optional(c"sock_type", kind::INT, c"SWOOLE_SOCK_TCP"),
        ],
        kind::NONE,
    ),
    method(c"listen", handler!(port::listen), LISTEN, kind::OBJECT | kind::FALSE),
    method(c"addlistener", handler!(port::listen), LISTEN, kind::OBJECT | kind::FALSE),
    method(
        c"on",
        handler!(lifecycle::on),
        &[required(c"event_name", kind::STRING), required(c"callback", kind::MIXED)],
        kind::BOOL,
    ),
    method(
        c"getCallback",
        handler!(lifecycle::get_callback),
        &[required(c"event_name", kind::STRING)],
        kind::MIXED,
    ),
    method(
        c"addProcess",
        handler!(user::add_process),
        &[required(c"process", kind::OBJECT)],
        kind::INT | kind::FALSE,
    ),
    method(
        c"addCommand",
        handler!(commands::add_command),
        &[
            required(c"name", kind::STRING),
            required(c"accepted_process_types", kind::INT),
            required(c"callback", kind::CALLABLE),
        ],
        kind::BOOL,
    ),
    method(
        c"command",
        handler!(commands::command),
        &[
            required(c"name", kind::STRING),
            required(c"process_id", kind::INT),
            required(c"process_type", kind::INT),
            required(c"data", kind::MIXED),
            optional(c"json_decode", kind::BOOL, c"true"),
        ],
        kind::MIXED,
    ),
    method(c"set", handler!(settings::set), &[required(c"settings", kind::ARRAY)], kind::BOOL),
    method(c"start", handler!(start::start), &[], kind::BOOL),
    method(
        c"send",
        handler!(sessions::send),
        &[
            required(c"fd", kind::INT | kind::STRING),
            required(c"send_data", kind::STRING),
            optional(c"serverSocket", kind::INT, c"-1"),
        ],
        kind::BOOL,
    ),
    method(
        c"sendto",
        handler!(sessions::sendto),
        &[
            required(c"ip", kind::STRING),
            required(c"port", kind::INT),
            required(c"send_data", kind::STRING),
            optional(c"server_socket", kind::INT, c"-1"),
        ],
        kind::BOOL,
    ),
    method(
        c"close",
        handler!(sessions::close),
        &[required(c"fd", kind::INT), optional(c"reset", kind::BOOL, c"false")],
        kind::BOOL,
    ),
    method(
        c"sendfile",
        handler!(sending::sendfile),
        &[
            required(c"conn_fd", kind::INT),
            required(c"filename", kind::STRING),
            optional(c"offset", kind::INT, c"0"),
            optional(c"length", kind::INT, c"0"),
        ],
        kind::BOOL,
    ),
    method(
        c"sendwait",
        handler!(sending::sendwait),
        &[required(c"conn_fd", kind::INT), required(c"send_data", kind::STRING)],
        kind::BOOL,
    ),
    method(
        c"task",
        handler!(tasks::task),
        &[
            required(c"data", kind::MIXED),
            optional(c"taskWorkerIndex", kind::INT, c"-1"),
            optional(c"finishCallback", kind::CALLABLE | kind::NULL, c"null"),
        ],
        kind::INT | kind::FALSE,
    ),
    method(
        c"taskwait",
        handler!(tasks::taskwait),
        &[
            required(c"data", kind::MIXED),
            optional(c"timeout", kind::FLOAT, c"0.5"),
            optional(c"taskWorkerIndex", kind::INT, c"-1"),
        ],
        kind::MIXED,
    ),
    method(
        c"taskWaitMulti",
        handler!(tasks::task_wait_multi),
        &[required(c"tasks", kind::ARRAY), optional(c"timeout", kind::FLOAT, c"0.5")],
        INFO,
    ),
    method(
        c"sendMessage",
        handler!(messages::send_message),
        &[required(c"message", kind::MIXED), required(c"dst_worker_id", kind::INT)],
        kind::BOOL,
    ),
    method(c"finish", handler!(tasks::finish), &[required(c"data", kind::MIXED)], kind::BOOL),
    method(
        c"taskCo",
        handler!(tasks::task_co),
        &[required(c"tasks", kind::ARRAY), optional(c"timeout", kind::FLOAT, c"0.5")],
        INFO,
    ),
    method(
        c"heartbeat",
        handler!(sending::heartbeat),
        &[optional(c"ifCloseConnection", kind::BOOL, c"true")],
        INFO,
    ),
    method(c"stats", handler!(stats::stats), &[], INFO),
    method(
        c"getWorkerStatus",
        handler!(stats::worker_status),
        &[optional(c"worker_id", kind::INT, c"-1")],
        kind::INT | kind::FALSE,
    ),
    method(c"pause", handler!(sending::pause), FD, kind::BOOL),
    method(c"resume", handler!(sending::resume), FD, kind::BOOL),
    method(c"confirm", handler!(sending::resume), FD, kind::BOOL),
    method(
        c"protect",
        handler!(sending::protect),
        &[required(c"fd", kind::INT), optional(c"is_protected", kind::BOOL, c"true")],
        kind::BOOL,
    ),
    method(
        c"bind",
        handler!(sending::bind),
        &[required(c"fd", kind::INT), required(c"uid", kind::INT)],
        kind::BOOL,
    ),
    method(c"getClientList", handler!(sending::client_list), CLIENT_LIST, INFO),
    method(c"connection_list", handler!(sending::client_list), CLIENT_LIST, INFO),
    method(c"exists", handler!(sessions::exists), FD, kind::BOOL),
    method(c"exist", handler!(sessions::exists), FD, kind::BOOL),
    method(c"getClientInfo", handler!(client_info::client_info), CLIENT_INFO, INFO),
    method(c"connection_info", handler!(client_info::client_info), CLIENT_INFO, INFO),
    method(c"getWorkerId", handler!(lifecycle::worker_id), &[], kind::INT | kind::FALSE),
    method(
        c"getWorkerPid",
        handler!(stats::worker_pid),
        &[optional(c"worker_id", kind::INT, c"-1")],
        kind::INT | kind::FALSE,
    ),
    method(c"getManagerPid", handler!(lifecycle::manager_pid), &[], kind::INT),
    method(c"getMasterPid", handler!(lifecycle::master_pid), &[], kind::INT),
    method(
        c"getSocket",
        handler!(port::get_socket),
        &[optional(c"port", kind::INT, c"0")],
        kind::MIXED,
    ),
    method(c"getLastError", handler!(crate::errors::last_error), &[], kind::INT),
    method(c"shutdown", handler!(lifecycle::shutdown), &[], kind::BOOL),
    method(
        c"reload",
        handler!(lifecycle::reload),
        &[optional(c"only_reload_taskworker", kind::BOOL, c"false")],
        kind::BOOL,
    ),
    method(
        c"stop",
        handler!(lifecycle::stop),
        &[optional(c"workerId", kind::INT, c"-1"), optional(c"waitEvent", kind::BOOL, c"false")],
        kind::BOOL,
    ),
];

const CLIENT_INFO: &[Parameter] = &[
    required(c"fd", kind::INT),
    optional(c"reactor_id", kind::INT, c"-1"),
    optional(c"ignoreError", kind::BOOL, c"false"),
];
const LISTEN: &[Parameter] = &[
    required(c"host", kind::STRING),
    required(c"port", kind::INT),
    required(c"sock_type", kind::INT),
];
const FD: &[Parameter] = &[required(c"fd", kind::INT)];
const CLIENT_LIST: &[Parameter] =
    &[optional(c"start_fd", kind::INT, c"0"), optional(c"find_count", kind::INT, c"10")];
const INFO: u32 = kind::ARRAY | kind::FALSE;

const fn public(name: &'static str, kind: u32, default: Default) -> Property {
    Property { name, kind, default, flags: PUBLIC }
}

/// In the order of [`state::slot`].
const PROPERTIES: [Property; 17] = [
    public("setting", kind::ARRAY | kind::NULL, Default::Null),
    public("connections", kind::OBJECT | kind::NULL, Default::Null),
    public("host", kind::STRING, Default::EmptyString),
    public("port", kind::INT, Default::Long(0)),
    public("type", kind::INT, Default::Long(0)),
    public("ssl", kind::BOOL, Default::Bool(false)),
    public("mode", kind::INT, Default::Long(0)),
    public("ports", kind::ARRAY | kind::NULL, Default::Null),
    public("master_pid", kind::INT, Default::Long(0)),
    public("manager_pid", kind::INT, Default::Long(0)),
    public("worker_id", kind::INT, Default::Long(-1)),
    public("taskworker", kind::BOOL, Default::Bool(false)),
    public("worker_pid", kind::INT, Default::Long(0)),
    public("stats_timer", kind::INT | kind::NULL, Default::Null),
    Property { name: "listeners", kind: kind::NONE, default: Default::Null, flags: PRIVATE },
    Property { name: "processes", kind: kind::NONE, default: Default::Null, flags: PRIVATE },
    Property { name: "commands", kind: kind::NONE, default: Default::Null, flags: PRIVATE },
];

/// The private properties that have callbacks.
pub(crate) fn callbacks<'a>(
    events: &'a [(&'static str, &'static str)],
) -> impl Iterator<Item = Property> + 'a {
    events.iter().map(|&(_, name)| Property {
        name,
        kind: kind::NONE,
        default: Default::Null,
        flags: PRIVATE,
    })
}

/// Declares the classes of servers.
pub(crate) fn declare(swoole: impl Fn(Class, &str) -> Class) {
    let properties: Vec<_> = PROPERTIES.into_iter().chain(callbacks(&SERVER_EVENTS)).collect();
    let server = Class::declare("Ostler\\Server", std::ptr::null_mut(), METHODS)
        .flags(DYNAMIC_PROPERTIES | NOT_SERIALIZABLE)
        .properties(&properties);
    object::embed::<ServerState>(server.entry());
    swoole(server, "Swoole\\Server");
    objects::declare(&swoole);
    let connections = connections::declare();
    CLASSES.connections.set(connections.entry());
    swoole(connections, "Swoole\\Connection\\Iterator");
    let port = port::declare();
    CLASSES.port.set(port.entry());
    swoole(port, "Swoole\\Server\\Port");
}

/// What an exception that nobody catches does in this process.
pub(crate) fn uncaught() -> Uncaught {
    current().map_or(Uncaught::Ends, |server| server.uncaught.get())
}

/// Whether a server's log is that of this process.
pub(crate) fn has_log() -> bool {
    current().is_some_and(|server| server.phase.get() == Phase::Running)
}

/// The server whose method was called; an `Error` when its constructor has not run.
fn server<'a>(call: &Call<'_>) -> Result<&'a ServerState, Thrown> {
    // SAFETY: the methods are those of the server's class.
    unsafe { object::get::<ServerState>(call.this()) }.ok_or_else(|| {
        throw_error("the server has no constructor behind it: call parent::__construct() first")
    })
}

/// The server, which has to run; otherwise the call returns false.
fn running<'a>(call: &mut Call<'_>) -> Result<Option<&'a ServerState>, Thrown> {
    let server = server(call)?;
    if server.phase.get() == Phase::Running {
        return Ok(Some(server));
    }
    warning("server is not running");
    call.result().set_bool(false);
    Ok(None)
}
