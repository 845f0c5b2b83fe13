//! A typed method for each option. All of them end in [`ServerBuilder::set`], so that limits, units
//! and error texts are the same however a value comes.

use std::time::Duration;

use super::builder::ServerBuilder;
use super::framing::Framing;
use super::port_builder::PortBuilder;
use crate::options::KillOrphans;
use crate::options::{
    AnswerOrder, CrashPolicy, Dispatch, GroupOverflow, Harden, JournalDamage, JournalSync,
    LogFormat, LogLevel, Mode, ProxyProtocol, Refusal, Sandbox, SessionIds, Spell, Start,
    TaskCrash, TaskResultTo,
};

/// Methods that hand a typed value on as text.
macro_rules! setters {
    (
        [$($builder:ident),+] $list:ident:
        $($(#[$doc:meta])+ $method:ident($argument:ident: $type:ty) => $option:literal;)+
    ) => {
        // The list of methods for each of the builders.
        setters!(@each [$($builder),+] { $(
            $(#[$doc])+
            #[must_use]
            pub fn $method(self, $argument: $type) -> Self {
                self.set($option, Spell::spell(&$argument))
            }
        )+ });

        /// The options that these methods set.
        #[cfg(test)]
        const $list: &[&str] = &[$($option),+];
    };
    (@each [$($builder:ident),+] $methods:tt) => { $(setters!(@impl $builder $methods);)+ };
    (@impl $builder:ident { $($methods:tt)+ }) => { impl $builder { $($methods)+ } };
}

setters! { [ServerBuilder] SET_FOR_SERVER:
    /// Most connections open at once, 1 to 1 048 576.
    max_connections(connections: u32) => "max_connections";
    /// Where the numbers of sessions begin.
    session_ids(start: SessionIds) => "session_ids";
    /// The number before that of the first session, up to 2^48, with [`SessionIds::Sequential`].
    start_session_id(number: u64) => "start_session_id";
    /// Which process serves the clients: the master, or each worker its own.
    mode(mode: Mode) => "mode";
    /// How a worker process begins: as a fork, or by executing the program as it lies on disk.
    start(by: Start) => "start";
    /// The number of event workers, 1 to 1 024.
    workers(processes: u16) => "workers";
    /// The fewest event workers while the server runs, 1 to 1 024.
    workers_min(processes: u16) => "workers_min";
    /// The most event workers while the server runs, up to 1 024; 0 is as many as at the start.
    workers_max(processes: u16) => "workers_max";
    /// When clients have waited so long for a worker there is one more, up to an hour; 0 is only
    /// when somebody asks for it.
    workers_grow_after(time: Duration) => "workers_grow_after_ms";
    /// When the other workers have sufficed for so long there is one less, up to a day.
    workers_shrink_after(time: Duration) => "workers_shrink_after_ms";
    /// The number of reactor threads, 1 to 64.
    reactors(threads: u16) => "reactors";
    /// Whether the server goes to the background when it runs.
    daemonize(on: bool) => "daemonize";
    /// Which processes are closed to others of the same user.
    harden(processes: Harden) => "harden";
    /// When programs are ended that a process of the server has started and left behind.
    kill_orphans(when: KillOrphans) => "kill_orphans";
    /// Whether programs that workers start never have more rights than they.
    no_new_privileges(on: bool) => "no_new_privileges";
    /// Which processes may make only the system calls, and open only the files, that they need.
    sandbox(processes: Sandbox) => "sandbox";
    /// Whether workers run under `SCHED_BATCH`.
    sched_batch(on: bool) => "sched_batch";
    /// Size of the package ring and of the output ring of each lane, a power of two from 64 KiB
    /// to 16 MiB; 0 chooses it from `lane_memory`.
    lane_size(bytes: usize) => "lane_size";
    /// Most bytes of those rings over all lanes of one generation.
    lane_memory(bytes: usize) => "lane_memory";
    /// Most bytes of send queues, partial packages and kept bodies in the master, 1 MiB or more.
    memory_budget(bytes: usize) => "memory_budget";
    /// Most files that wait to be sent, 1 to 1 048 576.
    sendfile_max(files: u32) => "sendfile_max";
    /// Most output of one delivery that is held back in the worker under
    /// [`CrashPolicy::Redeliver`], up to 1 GiB.
    redeliver_output_bytes(bytes: usize) => "redeliver_output_bytes";
    /// Whether the answers of a session come in the order of its packages when some are deferred.
    answer_order(order: AnswerOrder) => "answer_order";
    /// Estimated work kept ready at a busy worker, up to 100 ms in whole microseconds.
    prefetch(work: Duration) => "prefetch_us";
    /// Most packages kept ready at a worker, 1 to 4 096.
    prefetch_packages(packages: u32) => "prefetch_packages";
    /// Room for a session's state in the session table, in bytes, up to 4 096.
    session_state_size(bytes: usize) => "session_state_size";
    /// Longest state of a session, up to 16 MiB.
    session_state_max_bytes(bytes: usize) => "session_state_max_bytes";
    /// Most groups that have members, at each reactor, up to 2 097 152.
    groups_max(groups: u32) => "groups_max";
    /// Most groups that one session is in, up to 256.
    session_groups_max(groups: u32) => "session_groups_max";
    /// How long a worker's send waits for room in the lane before it answers *full*, up to 10
    /// minutes in whole milliseconds.
    send_timeout(time: Duration) => "send_timeout_ms";
    /// How long a client may take until its session begins, 1 ms to 10 minutes in whole
    /// milliseconds.
    handshake_timeout(time: Duration) => "handshake_timeout_ms";
    /// Whether certificates are read anew when their files change, and not only at a reload.
    tls_watch(on: bool) => "tls_watch";
    /// How long a leaving worker may finish what it has in hand before it is killed, up to a day
    /// in whole milliseconds.
    drain_timeout(time: Duration) => "drain_timeout_ms";
    /// How long a shutdown may take to finish and flush before everything ends, up to a day in
    /// whole milliseconds.
    shutdown_timeout(time: Duration) => "shutdown_timeout_ms";
    /// How long a master serves its sessions after a new one has taken its place (`USR2`), up to 30
    /// days in whole milliseconds; 0: until the last one ends.
    succession_timeout(time: Duration) => "succession_timeout_ms";
    /// Whether sessions of plain connections go to a new master (`USR2`), or stay with the old one.
    succession_sessions(what: crate::options::SuccessionSessions) => "succession_sessions";
    /// How long a worker may take to become ready before it is killed, 1 ms to an hour in whole
    /// milliseconds.
    boot_timeout(time: Duration) => "boot_timeout_ms";
    /// How long a session hashed to a slot without a worker waits before it is hashed over the
    /// others, up to an hour in whole milliseconds.
    slot_down(time: Duration) => "slot_down_ms";
    /// Pause after the first boot failure of a slot, 1 ms to an hour in whole milliseconds.
    back_off_min(time: Duration) => "back_off_min_ms";
    /// Longest pause between boot attempts of a slot, 1 ms to an hour in whole milliseconds.
    back_off_max(time: Duration) => "back_off_max_ms";
    /// Least time between two forks for one slot, up to a minute in whole milliseconds.
    fork_interval(time: Duration) => "fork_interval_ms";
    /// Deliveries after which a worker asks to be replaced; 0 = never.
    max_requests(deliveries: u64) => "max_requests";
    /// How long a worker may serve before it is replaced, up to a year in whole milliseconds; zero
    /// is for ever.
    worker_age_max(time: Duration) => "worker_age_max_ms";
    /// How long a worker that has served may be without a delivery before it is replaced, up to a
    /// year in whole milliseconds; zero is for ever.
    worker_idle_max(time: Duration) => "worker_idle_max_ms";
    /// Memory of its own above which a worker is replaced after what it has in hand, in bytes; 0 is
    /// no limit.
    worker_memory_soft_max(bytes: usize) => "worker_memory_soft_max";
    /// Memory of its own above which a worker is killed, in bytes; 0 is no limit.
    worker_memory_hard_max(bytes: usize) => "worker_memory_hard_max";
    /// Number of processes that run tasks, up to 1 024; 0 = none.
    task_workers(processes: u16) => "task_workers";
    /// Tasks after which a task worker asks to be replaced; 0 = never.
    task_max_requests(tasks: u64) => "task_max_requests";
    /// Most tasks that wait or are in hand, 1 to 10 000 000.
    task_queue_max(tasks: usize) => "task_queue_max";
    /// Longest payload of a task or a result, 64 bytes to 64 MiB.
    task_max_length(bytes: usize) => "task_max_length";
    /// What becomes of a task whose worker died.
    task_crash_policy(policy: TaskCrash) => "task_crash_policy";
    /// How often a task is started under [`TaskCrash::Redeliver`], 1 to 100.
    task_attempts_max(attempts: u16) => "task_attempts_max";
    /// To whom the results of a task go whose asker is dead.
    task_result_to(whom: TaskResultTo) => "task_result_to";
    /// How long a task may run before its worker is killed, in whole milliseconds; zero is for
    /// ever.
    task_deadline(time: Duration) => "task_deadline_ms";
    /// When the disk is asked to have what was written to `task_journal`.
    task_journal_sync(when: JournalSync) => "task_journal_sync";
    /// How often that is under [`JournalSync::Timed`], 1 ms to a minute.
    task_journal_sync_interval(time: Duration) => "task_journal_sync_ms";
    /// Most bytes of tasks that wait to be written to `task_journal`, 64 KiB to 1 GiB.
    task_journal_backlog_max(bytes: usize) => "task_journal_backlog_max";
    /// What becomes of a server whose `task_journal` has been spoilt.
    task_journal_damage(then: JournalDamage) => "task_journal_damage";
    /// After how long a silence the tasks of a server go to others, one second to a day, where
    /// `task_journal` is a Redis.
    task_journal_lease(time: Duration) => "task_journal_lease_ms";
    /// Longest message of one process to another, 64 bytes to 64 MiB.
    message_max_length(bytes: usize) => "message_max_length";
    /// Most bytes of messages that a process has not begun to handle, 64 KiB to 1 GiB.
    message_queue_bytes(bytes: usize) => "message_queue_bytes";
    /// Most workers that are recycled at the same time, 1 to 1 024.
    recycle_at_once(workers: u16) => "recycle_at_once";
    /// Most workers that a reload replaces at the same time, once the first new one serves, 1 to
    /// 1 024.
    reload_parallel(workers: u16) => "reload_parallel";
    /// Most packages in the directory of those that killed a worker, 1 to 10 000.
    quarantine_files_max(packages: u32) => "quarantine_files_max";
    /// Most bytes of packages in that directory, 4 KiB to 16 GiB.
    quarantine_bytes_max(bytes: usize) => "quarantine_bytes_max";
    /// Least important level that is written.
    log_level(level: LogLevel) => "log_level";
    /// After how long a callback that runs is told with its stack, up to a day in whole
    /// milliseconds; 0 = never.
    request_slowlog_timeout(time: Duration) => "request_slowlog_timeout_ms";
    /// After how long a turn of a reactor is told with its stack, up to a day in whole
    /// milliseconds; 0 = never.
    reactor_slowlog_timeout(time: Duration) => "reactor_slowlog_timeout_ms";
    /// The form of the lines of the log.
    log_format(format: LogFormat) => "log_format";
    /// How many of a million traces that begin in this server are recorded; 0 = none.
    trace_sample_ppm(traces: u32) => "trace_sample_ppm";
}

setters! { [ServerBuilder, PortBuilder] SET_FOR_PORTS:
    /// Length of the kernel's queue of connections that wait to be accepted, 1 to 65 535.
    backlog(connections: u16) => "backlog";
    /// Whether Nagle's algorithm is off on accepted sockets.
    tcp_nodelay(on: bool) => "tcp_nodelay";
    /// Whether the kernel probes clients that are silent.
    tcp_keepalive(on: bool) => "tcp_keepalive";
    /// Silence after which the first probe is sent, 1 to 32 767 seconds.
    tcp_keepalive_idle(seconds: u32) => "tcp_keepalive_idle";
    /// Time between two probes, 1 to 32 767 seconds.
    tcp_keepalive_interval(seconds: u32) => "tcp_keepalive_interval";
    /// Probes without an answer after which a session ends, 1 to 127.
    tcp_keepalive_count(probes: u32) => "tcp_keepalive_count";
    /// How long output may stay unacknowledged before a session ends, up to a day in whole
    /// milliseconds; zero leaves it to the kernel.
    tcp_user_timeout(time: Duration) => "tcp_user_timeout_ms";
    /// A connection is accepted when its client has sent something, or about so many seconds
    /// later, up to 3 600; 0 accepts at once.
    tcp_defer_accept(seconds: u32) => "tcp_defer_accept";
    /// Connections that may wait with data in their first packet; 0 takes none.
    tcp_fastopen(connections: u16) => "tcp_fastopen";
    /// Unsent bytes above which the kernel takes no more, 4 KiB to 1 GiB; 0 leaves it to the
    /// kernel.
    tcp_notsent_lowat(bytes: usize) => "tcp_notsent_lowat";
    /// The kernel's receive buffer of a connection, or of a port for datagrams, 4 KiB to 1 GiB; 0
    /// leaves it to the kernel.
    socket_receive_buffer(bytes: usize) => "socket_receive_buffer";
    /// The kernel's send buffer of a connection, or of a port for datagrams, 4 KiB to 1 GiB; 0
    /// leaves it to the kernel.
    socket_send_buffer(bytes: usize) => "socket_send_buffer";
    /// Type of service (IPv4) or traffic class (IPv6) of what is sent.
    ip_tos(class: u8) => "ip_tos";
    /// Whether a port at `[::]` takes clients of IPv6 only.
    ipv6_only(on: bool) => "ipv6_only";
    /// Whether other servers of the same user may listen on the address too.
    reuse_port(on: bool) => "reuse_port";
    /// Whether connections begin with a header of the PROXY protocol, from one of the proxies of
    /// `proxy_protocol_from`.
    proxy_protocol(headers: ProxyProtocol) => "proxy_protocol";
    /// Which worker gets the packages of a session that is not bound to one.
    dispatch(mode: Dispatch) => "dispatch";
    /// What becomes of a package whose worker died after it was started.
    crash_policy(policy: CrashPolicy) => "crash_policy";
    /// Most packages of one session that are given to a worker and not finished, 1 to 1 024.
    session_window(packages: u32) => "session_window";
    /// Whether `on_connect` and `on_close` are called.
    connect_events(on: bool) => "connect_events";
    /// Whether packages of a client whose connection has failed are thrown away.
    discard_gone_packages(on: bool) => "discard_gone_packages";
    /// Most connections of one address, an IPv4 address or a /64 of IPv6; 0 = any number.
    max_connections_per_address(connections: u32) => "max_connections_per_address";
    /// Most workers that packages of one address may kill within a minute before it is refused, up
    /// to 100; 0 = any number.
    worker_deaths_per_address(workers: u32) => "worker_deaths_per_address";
    /// Most connections that are accepted in a second; more wait in the kernel. 0 = any number.
    accept_rate(connections: u32) => "accept_rate";
    /// Most connections of one address in a second; more are refused. 0 = any number.
    connection_rate_per_address(connections: u32) => "connection_rate_per_address";
    /// Most packages of all sessions of one address in a second; more are refused. 0 = any number.
    package_rate_per_address(packages: u32) => "package_rate_per_address";
    /// Most packages of a session in a second; then it is not read for a while. 0 = any number.
    package_rate_max(packages: u32) => "package_rate_max";
    /// Most bytes of a session in a second, up to 1 GiB; then it is not read for a while. 0 = any.
    receive_rate_max(bytes_per_second: usize) => "receive_rate_max";
    /// Most sessions that wait for a worker; beyond it the newest are refused. 0 = all.
    queue_max(sessions: u32) => "queue_max";
    /// How long a session may wait for a worker before it is refused, up to an hour in whole
    /// milliseconds; zero waits as long as it takes.
    queue_wait_max(time: Duration) => "queue_wait_max_ms";
    /// What a client sees that is refused.
    refusal(words: Refusal) => "refusal";
    /// After how long a callback about a session is late, so that [`crate::Session::is_late`]
    /// answers so, up to a day in whole milliseconds; zero is never.
    request_soft_deadline(time: Duration) => "request_soft_deadline_ms";
    /// After how long the worker is killed that runs a callback about a session, up to a day in
    /// whole milliseconds; zero is never.
    request_deadline(time: Duration) => "request_deadline_ms";
    /// The longest time that [`crate::Session::set_time_left`] can give a request, up to a day in
    /// whole milliseconds; zero is that of `request_deadline`.
    request_deadline_max(time: Duration) => "request_deadline_max_ms";
    /// What a client sees whose session is closed because a request of it took too long.
    request_deadline_answer(words: Refusal) => "request_deadline_answer";
    /// Whether a session is read only when a handler has called [`crate::Session::confirm`].
    accept_confirm(on: bool) => "accept_confirm";
    /// Longest framed package, 64 bytes to 64 MiB; a session that exceeds it is closed.
    package_max_length(bytes: usize) => "package_max_length";
    /// Most bytes of one raw package, 64 bytes to 4 MiB; 0 chooses it from the lane's size.
    receive_size(bytes: usize) => "receive_size";
    /// A session with more unsent bytes answers *full* to a send, 1 KiB to 1 GiB.
    send_queue_high(bytes: usize) => "send_queue_high";
    /// A session with more unsent bytes is not read, 1 KiB to 1 GiB.
    send_queue_low(bytes: usize) => "send_queue_low";
    /// A session with more unsent bytes is closed as a slow reader, 1 KiB to 1 GiB.
    send_queue_max(bytes: usize) => "send_queue_max";
    /// Longest message of one send, 1 KiB to 1 GiB.
    max_send_bytes(bytes: usize) => "max_send_bytes";
    /// What becomes of a member of a group that reads too slowly for its messages.
    group_overflow(what: GroupOverflow) => "group_overflow";
    /// How long a connection that the server has closed in order is kept until its client has
    /// closed too, up to 10 minutes in whole milliseconds; zero closes at once.
    linger_timeout(time: Duration) => "linger_timeout_ms";
    /// Longest time in which nothing is received from a client and nothing written to it, up to
    /// 30 days; zero is no limit.
    idle_timeout(time: Duration) => "idle_timeout_ms";
    /// Longest time in which nothing is received from a client, up to 30 days; zero is no limit.
    silence_timeout(time: Duration) => "silence_timeout_ms";
    /// Longest time from accepting to the first whole package, up to a day; zero is no limit.
    first_package_timeout(time: Duration) => "first_package_timeout_ms";
    /// Longest time from the first byte of a package to its last, up to a day; zero is no limit.
    package_timeout(time: Duration) => "package_timeout_ms";
    /// Fewest bytes per second of a package that is not complete, up to 1 GiB; 0 is any rate.
    receive_rate_min(bytes_per_second: usize) => "receive_rate_min";
    /// How long a client may pause within a package with a least rate, 1 ms to 1 h.
    receive_rate_grace(time: Duration) => "receive_rate_grace_ms";
    /// Longest time in which a client takes nothing of output that waits, up to a day; zero is no
    /// limit.
    send_stall_timeout(time: Duration) => "send_stall_timeout_ms";
}

/// Permissions as they are spelled.
fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

impl PortBuilder {
    /// Permissions of the file of a unix socket, for example `0o660`: who can write to it can
    /// connect.
    #[must_use]
    pub fn unix_mode(self, mode: u32) -> Self {
        self.set("unix_mode", octal(mode))
    }

    /// The proxies that are trusted to say whose connections they forward: addresses and networks
    /// between commas, and `unix` for whoever may connect to a unix socket.
    #[must_use]
    pub fn proxy_protocol_from(self, proxies: &str) -> Self {
        self.set("proxy_protocol_from", proxies)
    }
}

impl ServerBuilder {
    /// Permissions of the file of a unix socket, for example `0o660`: who can write to it can
    /// connect.
    #[must_use]
    pub fn unix_mode(self, mode: u32) -> Self {
        self.set("unix_mode", octal(mode))
    }

    /// The proxies that are trusted to say whose connections they forward: addresses and networks
    /// between commas, and `unix` for whoever may connect to a unix socket.
    #[must_use]
    pub fn proxy_protocol_from(self, proxies: &str) -> Self {
        self.set("proxy_protocol_from", proxies)
    }

    /// How the bytes of a session become packages.
    #[must_use]
    pub fn framing(self, framing: Framing) -> Self {
        framing.options().fold(self, |builder, (name, value)| builder.set(name, value))
    }
}

#[cfg(test)]
mod tests;
