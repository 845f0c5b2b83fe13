//! The constants of the reference, and `Swoole\Constant` with names of events and options.

use ext_php_rs::ffi::{
    zend_register_double_constant, zend_register_long_constant, zend_register_string_constant,
};

use crate::server::{SSL, option_names};
use crate::zend::class::Class;
use crate::zend::message::c_text;

/// Each as `SWOOLE_NAME` and `OSTLER_NAME`.
const NUMBERS: &[(&str, i64)] = &[
    ("BASE", 1),
    ("PROCESS", 2),
    ("THREAD", 3),
    ("SOCK_TCP", 1),
    ("SOCK_UDP", 2),
    ("SOCK_TCP6", 3),
    ("SOCK_UDP6", 4),
    ("SOCK_UNIX_STREAM", 5),
    ("SOCK_UNIX_DGRAM", 6),
    ("TCP", 1),
    ("UDP", 2),
    ("TCP6", 3),
    ("UDP6", 4),
    ("UNIX_STREAM", 5),
    ("UNIX_DGRAM", 6),
    ("SSL", SSL),
    ("DISPATCH_ROUND", 1),
    ("DISPATCH_FDMOD", 2),
    ("DISPATCH_IDLE_WORKER", 3),
    ("DISPATCH_IPMOD", 4),
    ("DISPATCH_UIDMOD", 5),
    ("DISPATCH_USERFUNC", 6),
    ("DISPATCH_STREAM", 7),
    ("DISPATCH_CO_CONN_LB", 8),
    ("DISPATCH_CO_REQ_LB", 9),
    ("DISPATCH_CONCURRENT_LB", 10),
    ("DISPATCH_RESULT_DISCARD_PACKET", -1),
    ("DISPATCH_RESULT_CLOSE_CONNECTION", -2),
    ("DISPATCH_RESULT_USERFUNC_FALLBACK", -3),
    ("TASK_TMPFILE", 1),
    ("TASK_SERIALIZE", 2),
    ("TASK_NONBLOCK", 4),
    ("TASK_CALLBACK", 8),
    ("TASK_WAITALL", 16),
    ("TASK_COROUTINE", 32),
    ("TASK_PEEK", 64),
    ("TASK_NOREPLY", 128),
    ("IPC_NONE", 0),
    ("IPC_UNSOCK", 1),
    ("IPC_UNIXSOCK", 1),
    ("IPC_MSGQUEUE", 2),
    ("IPC_PREEMPTIVE", 3),
    ("IPC_SOCKET", 3),
    ("TIMER_MIN_MS", 1),
    ("TIMER_MAX_MS", i64::MAX),
    ("SERVER_COMMAND_MASTER", 2),
    ("SERVER_COMMAND_REACTOR_THREAD", 4),
    ("SERVER_COMMAND_EVENT_WORKER", 8),
    ("SERVER_COMMAND_WORKER", 8),
    ("SERVER_COMMAND_TASK_WORKER", 16),
    ("SERVER_COMMAND_MANAGER", 32),
    ("WORKER_BUSY", 1),
    ("WORKER_IDLE", 2),
    ("WORKER_EXIT", 3),
    ("LOG_DEBUG", 0),
    ("LOG_TRACE", 1),
    ("LOG_INFO", 2),
    ("LOG_NOTICE", 3),
    ("LOG_WARNING", 4),
    ("LOG_ERROR", 5),
    ("LOG_NONE", 6),
    ("LOG_ROTATION_SINGLE", 0),
    ("LOG_ROTATION_MONTHLY", 1),
    ("LOG_ROTATION_DAILY", 2),
    ("LOG_ROTATION_HOURLY", 3),
    ("LOG_ROTATION_EVERY_MINUTE", 4),
    ("STRERROR_SYSTEM", 0),
    ("STRERROR_GAI", 1),
    ("STRERROR_DNS", 2),
    ("STRERROR_SWOOLE", 9),
    ("SSL_SSLv2", 1 << 1),
    ("SSL_TLSv1", 1 << 3),
    ("SSL_TLSv1_1", 1 << 4),
    ("SSL_TLSv1_2", 1 << 5),
    ("SSL_TLSv1_3", 1 << 6),
    ("SSL_DTLS", 1 << 7),
    ("RWLOCK", 1),
    ("MUTEX", 3),
    ("SPINLOCK", 5),
    ("ERROR_MALLOC_FAIL", 501),
    ("ERROR_SYSTEM_CALL_FAIL", 502),
    ("ERROR_PHP_FATAL_ERROR", 503),
    ("ERROR_NAME_TOO_LONG", 504),
    ("ERROR_INVALID_PARAMS", 505),
    ("ERROR_QUEUE_FULL", 506),
    ("ERROR_OPERATION_NOT_SUPPORT", 507),
    ("ERROR_PROTOCOL_ERROR", 508),
    ("ERROR_WRONG_OPERATION", 509),
    ("ERROR_PHP_RUNTIME_NOTICE", 510),
    ("ERROR_NO_PAYLOAD", 550),
    ("ERROR_UNDEFINED_BEHAVIOR", 600),
    ("ERROR_NOT_THREAD_SAFETY", 601),
    ("ERROR_FILE_NOT_EXIST", 700),
    ("ERROR_FILE_TOO_LARGE", 701),
    ("ERROR_FILE_EMPTY", 702),
    ("ERROR_DIR_NOT_EXIST", 703),
    ("ERROR_DNSLOOKUP_DUPLICATE_REQUEST", 710),
    ("ERROR_DNSLOOKUP_RESOLVE_FAILED", 711),
    ("ERROR_DNSLOOKUP_RESOLVE_TIMEOUT", 712),
    ("ERROR_DNSLOOKUP_UNSUPPORTED", 713),
    ("ERROR_DNSLOOKUP_NO_SERVER", 714),
    ("ERROR_BAD_IPV6_ADDRESS", 720),
    ("ERROR_UNREGISTERED_SIGNAL", 721),
    ("ERROR_BAD_HOST_ADDR", 722),
    ("ERROR_BAD_PORT", 723),
    ("ERROR_BAD_SOCKET_TYPE", 724),
    ("ERROR_EVENT_REMOVE_FAILED", 800),
    ("ERROR_EVENT_ADD_FAILED", 801),
    ("ERROR_EVENT_UPDATE_FAILED", 802),
    ("ERROR_EVENT_UNKNOWN_DATA", 803),
    // What the first two were called before 6.1.
    ("ERROR_EVENT_SOCKET_REMOVED", 800),
    ("ERROR_EVENT_SOCKET_INVALID", 801),
    ("ERROR_SESSION_CLOSED_BY_SERVER", 1001),
    ("ERROR_SESSION_CLOSED_BY_CLIENT", 1002),
    ("ERROR_SESSION_CLOSING", 1003),
    ("ERROR_SESSION_CLOSED", 1004),
    ("ERROR_SESSION_NOT_EXIST", 1005),
    ("ERROR_SESSION_INVALID_ID", 1006),
    ("ERROR_SESSION_DISCARD_TIMEOUT_DATA", 1007),
    ("ERROR_SESSION_DISCARD_DATA", 1008),
    ("ERROR_OUTPUT_BUFFER_OVERFLOW", 1009),
    ("ERROR_OUTPUT_SEND_YIELD", 1010),
    ("ERROR_SSL_NOT_READY", 1011),
    ("ERROR_SSL_CANNOT_USE_SENFILE", 1012),
    ("ERROR_SSL_EMPTY_PEER_CERTIFICATE", 1013),
    ("ERROR_SSL_VERIFY_FAILED", 1014),
    ("ERROR_SSL_BAD_CLIENT", 1015),
    ("ERROR_SSL_BAD_PROTOCOL", 1016),
    ("ERROR_SSL_RESET", 1017),
    ("ERROR_SSL_HANDSHAKE_FAILED", 1018),
    ("ERROR_SSL_CREATE_CONTEXT_FAILED", 1019),
    ("ERROR_SSL_CREATE_SESSION_FAILED", 1020),
    ("ERROR_PACKAGE_LENGTH_TOO_LARGE", 1201),
    ("ERROR_PACKAGE_LENGTH_NOT_FOUND", 1202),
    ("ERROR_DATA_LENGTH_TOO_LARGE", 1203),
    ("ERROR_PACKAGE_MALFORMED_DATA", 1204),
    ("ERROR_TASK_PACKAGE_TOO_BIG", 2001),
    ("ERROR_TASK_DISPATCH_FAIL", 2002),
    ("ERROR_TASK_TIMEOUT", 2003),
    ("ERROR_SOCKET_CLOSED", 6001),
    ("ERROR_SOCKET_POLL_TIMEOUT", 6002),
    ("ERROR_SOCKET_NOT_EXISTS", 6003),
    ("ERROR_SERVER_MUST_CREATED_BEFORE_CLIENT", 9001),
    ("ERROR_SERVER_TOO_MANY_SOCKET", 9002),
    ("ERROR_SERVER_WORKER_TERMINATED", 9003),
    ("ERROR_SERVER_INVALID_LISTEN_PORT", 9004),
    ("ERROR_SERVER_TOO_MANY_LISTEN_PORT", 9005),
    ("ERROR_SERVER_PIPE_BUFFER_FULL", 9006),
    ("ERROR_SERVER_NO_IDLE_WORKER", 9007),
    ("ERROR_SERVER_ONLY_START_ONE", 9008),
    ("ERROR_SERVER_SEND_IN_MASTER", 9009),
    ("ERROR_SERVER_INVALID_REQUEST", 9010),
    ("ERROR_SERVER_CONNECT_FAIL", 9011),
    ("ERROR_SERVER_INVALID_COMMAND", 9012),
    ("ERROR_SERVER_IS_NOT_REGULAR_FILE", 9013),
    ("ERROR_SERVER_SEND_TO_WOKER_TIMEOUT", 9014),
    ("ERROR_SERVER_INVALID_CALLBACK", 9015),
    ("ERROR_SERVER_UNRELATED_THREAD", 9016),
    ("ERROR_SERVER_WORKER_EXIT_TIMEOUT", 9101),
    ("ERROR_SERVER_WORKER_ABNORMAL_PIPE_DATA", 9102),
    ("ERROR_SERVER_WORKER_UNPROCESSED_DATA", 9103),
];

/// What programs say in `hook_flags`, an option without effect here, as bits.
const HOOKS: &[(&str, u32)] = &[
    ("TCP", 1),
    ("UDP", 2),
    ("UNIX", 3),
    ("UDG", 4),
    ("SSL", 5),
    ("TLS", 6),
    ("STREAM_FUNCTION", 7),
    ("STREAM_SELECT", 7),
    ("FILE", 8),
    ("SLEEP", 9),
    ("PROC", 10),
    ("CURL", 11),
    ("NATIVE_CURL", 12),
    ("BLOCKING_FUNCTION", 13),
    ("SOCKETS", 14),
    ("STDIO", 15),
    ("PDO_PGSQL", 16),
    ("PDO_ODBC", 17),
    ("PDO_ORACLE", 18),
    ("PDO_SQLITE", 19),
    ("PDO_FIREBIRD", 20),
    ("NET_FUNCTION", 21),
    ("MONGODB", 22),
];
/// `SWOOLE_HOOK_ALL`: all bits but that of a hook that Swoole has replaced (`CURL`).
const HOOK_ALL: i64 = 0x7fff_ffff & !(1 << 11);

/// What programs say in `trace_flags`, an option without effect here: bits from the second on.
const TRACES: &[&str] = &[
    "SERVER",
    "CLIENT",
    "BUFFER",
    "CONN",
    "EVENT",
    "WORKER",
    "MEMORY",
    "REACTOR",
    "PHP",
    "HTTP",
    "HTTP2",
    "EOF_PROTOCOL",
    "LENGTH_PROTOCOL",
    "CLOSE",
    "WEBSOCKET",
    "REDIS_CLIENT",
    "MYSQL_CLIENT",
    "HTTP_CLIENT",
    "AIO",
    "SSL",
    "NORMAL",
    "CHANNEL",
    "TIMER",
    "SOCKET",
    "COROUTINE",
    "CONTEXT",
    "CO_HTTP_SERVER",
    "TABLE",
    "CO_CURL",
    "CARES",
    "ZLIB",
];

/// Seconds between which timers may be set.
const FRACTIONS: &[(&str, f64)] =
    &[("TIMER_MIN_SEC", 0.001), ("TIMER_MAX_SEC", (i64::MAX / 1_000) as f64)];

/// The release of the reference whose API is here: what programs that ask for a version are told.
pub(crate) const REFERENCE_VERSION: &str = "6.2.1";

/// Its parts, as `SWOOLE_NAME`.
const REFERENCE_NUMBERS: &[(&str, i64)] = &[
    ("SWOOLE_VERSION_ID", 60_201),
    ("SWOOLE_MAJOR_VERSION", 6),
    ("SWOOLE_MINOR_VERSION", 2),
    ("SWOOLE_RELEASE_VERSION", 1),
];

const EVENTS: &[&str] = &[
    "start",
    "beforeShutdown",
    "shutdown",
    "workerStart",
    "workerStop",
    "beforeReload",
    "afterReload",
    "task",
    "finish",
    "workerExit",
    "workerError",
    "managerStart",
    "managerStop",
    "pipeMessage",
    "connect",
    "receive",
    "close",
    "packet",
    "bufferFull",
    "bufferEmpty",
];

/// Registers all of them.
pub(crate) fn declare(module: i32, swoole: impl Fn(Class, &str) -> Class) {
    let has_swoole_names = crate::zend::process::takes_swoole_names();
    let prefixes: &[&str] = if has_swoole_names { &["OSTLER_", "SWOOLE_"] } else { &["OSTLER_"] };
    for (name, number) in NUMBERS {
        for prefix in prefixes {
            register_number(&format!("{prefix}{name}"), *number, module);
        }
    }
    for prefix in prefixes {
        register_flags(prefix, module);
    }
    register_text("OSTLER_VERSION", env!("CARGO_PKG_VERSION"), module);
    if has_swoole_names {
        register_text("SWOOLE_VERSION", REFERENCE_VERSION, module);
        register_text("SWOOLE_EXTRA_VERSION", "", module);
        for (name, number) in REFERENCE_NUMBERS {
            register_number(name, *number, module);
        }
    }
    let events = EVENTS.iter().map(|event| (format!("EVENT_{}", snake(event)), *event));
    let options = option_names().map(|name| (format!("OPTION_{}", name.to_uppercase()), name));
    let class = Class::declare("Ostler\\Constant", std::ptr::null_mut(), &[]);
    swoole(class.texts(events).texts(options), "Swoole\\Constant");
}

/// Constants of options that have no effect: programs that name them have to run all the same.
fn register_flags(prefix: &str, module: i32) {
    for (name, bit) in HOOKS {
        register_number(&format!("{prefix}HOOK_{name}"), 1 << bit, module);
    }
    register_number(&format!("{prefix}HOOK_ALL"), HOOK_ALL, module);
    for (name, bit) in TRACES.iter().zip(1_u32..) {
        register_number(&format!("{prefix}TRACE_{name}"), 1 << bit, module);
    }
    register_number(&format!("{prefix}TRACE_ALL"), i64::MAX, module);
    for (name, number) in FRACTIONS {
        register_fraction(&format!("{prefix}{name}"), *number, module);
    }
}

/// `CONST_CS | CONST_PERSISTENT`
const FLAGS: i32 = 1;

fn register_number(name: &str, number: i64, module: i32) {
    let name = c_text(name);
    let length = name.as_bytes().len();
    // SAFETY: a name with its length, which PHP copies, while the module starts.
    unsafe {
        zend_register_long_constant(name.as_ptr(), length, number, FLAGS, module);
    }
}

fn register_fraction(name: &str, number: f64, module: i32) {
    let name = c_text(name);
    let length = name.as_bytes().len();
    // SAFETY: a name with its length, which PHP copies, while the module starts.
    unsafe {
        zend_register_double_constant(name.as_ptr(), length, number, FLAGS, module);
    }
}

fn register_text(name: &str, text: &str, module: i32) {
    let (name, text) = (c_text(name), c_text(text));
    let length = name.as_bytes().len();
    // SAFETY: a name with its length and a text that ends with zero, both of which PHP copies,
    // while the module starts.
    unsafe {
        zend_register_string_constant(name.as_ptr(), length, text.as_ptr(), FLAGS, module);
    }
}

/// `workerStart` as `WORKER_START`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_uppercase());
    }
    snake
}
