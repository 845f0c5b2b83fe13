//! The events of a server and of its ports.

/// Events of the server as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerEvent {
    Start,
    BeforeShutdown,
    Shutdown,
    WorkerStart,
    WorkerStop,
    WorkerExit,
    WorkerError,
    ManagerStart,
    ManagerStop,
    BeforeReload,
    AfterReload,
    Task,
    Finish,
    PipeMessage,
}

/// Events of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortEvent {
    Connect,
    Receive,
    Close,
    Packet,
    BufferFull,
    BufferEmpty,
}

/// Name in lower case, and the private property that has the callback. In the order of the enum.
pub(crate) const SERVER_EVENTS: [(&str, &str); 14] = [
    ("start", "onStart"),
    ("beforeshutdown", "onBeforeShutdown"),
    ("shutdown", "onShutdown"),
    ("workerstart", "onWorkerStart"),
    ("workerstop", "onWorkerStop"),
    ("workerexit", "onWorkerExit"),
    ("workererror", "onWorkerError"),
    ("managerstart", "onManagerStart"),
    ("managerstop", "onManagerStop"),
    ("beforereload", "onBeforeReload"),
    ("afterreload", "onAfterReload"),
    ("task", "onTask"),
    ("finish", "onFinish"),
    ("pipemessage", "onPipeMessage"),
];

/// As [`SERVER_EVENTS`].
pub(crate) const PORT_EVENTS: [(&str, &str); 6] = [
    ("connect", "onConnect"),
    ("receive", "onReceive"),
    ("close", "onClose"),
    ("packet", "onPacket"),
    ("bufferfull", "onBufferFull"),
    ("bufferempty", "onBufferEmpty"),
];

/// The event of this name in one of the tables; upper and lower case are the same.
pub(crate) fn find(table: &[(&str, &str)], name: &str) -> Option<usize> {
    table.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))
}
