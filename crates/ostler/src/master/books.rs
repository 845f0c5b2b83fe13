//! The books: the lines by which the master accounts for everything at its end.

use ostler_core::brain::{Books, CloseReason, DatagramBooks, DatagramDrop, NotSent};
use ostler_core::groups::GroupCounts;
use ostler_core::handshakes::HandshakeCounts;
use ostler_core::messages::MessageCounts;
use ostler_core::proxy_protocol::{BadHeader, HeaderCounts};
use ostler_core::task_queue::TaskCounts;

/// What did not happen is not told: a reader looks for what did.
pub(super) fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

/// Everything that became of connections and packages.
pub(super) fn log_books(books: &Books) {
    if let Err(imbalance) = books.check() {
        tracing::error!(%imbalance, "the books do not balance");
    }
    log_lesser_books(books);
    let closed = |reason: CloseReason| books.closed.get(reason as usize).copied().unwrap_or(0);
    tracing::info!(
        accepted = books.accepted,
        taken_over = some(books.taken_over),
        open = some(books.open),
        closed = some(books.closed_total()),
        handed_over = some(books.handed_over),
        received = books.received,
        finished = books.finished,
        in_hand = some(books.in_hand),
        recalled = some(books.recalled),
        refused = some(books.refused),
        dropped = some(books.dropped_total()),
        closed_by = some(books.closed_by_total()),
        dropped_worker_died = some(books.dropped_worker_died),
        dropped_session_gone = some(books.dropped_session_gone),
        redelivered = some(books.redelivered),
        continued = some(books.continued),
        refused_queue_full = some(books.refused_queue_full),
        refused_queue_wait = some(books.refused_queue_wait),
        held_back = some(books.held_back),
        refused_package_rate = some(books.refused_package_rate),
        refused_connection_rate = some(books.accepting.refused_connection_rate),
        accept_rests = some(books.accepting.accept_rests),
        refused_address_full = some(books.accepting.refused_address_full),
        refused_address_deaths = some(books.accepting.refused_address_deaths),
        refused_no_descriptor = some(books.accepting.refused_no_descriptor),
        files = some(books.files.taken),
        files_sent = some(books.files.sent),
        files_failed = some(books.files.failed),
        files_refused = some(books.files.refused),
        disk_waits = some(books.files.disk_waits),
        recalls = some(books.recalls),
        memory_shortages = some(books.memory_shortages),
        output_session_gone = some(books.output_session_gone),
        output_dropped_bytes = some(books.output_dropped_bytes),
        input_dropped_bytes = some(books.input_dropped_total()),
        closed_peer = some(closed(CloseReason::Peer)),
        closed_peer_error = some(closed(CloseReason::PeerError)),
        closed_worker = some(closed(CloseReason::Worker)),
        closed_worker_reset = some(closed(CloseReason::WorkerReset)),
        closed_worker_died = some(closed(CloseReason::WorkerDied)),
        closed_worker_condemned = some(closed(CloseReason::WorkerCondemned)),
        closed_truncated = some(closed(CloseReason::Truncated)),
        closed_unservable = some(closed(CloseReason::Unservable)),
        closed_slow_reader = some(closed(CloseReason::SlowReader)),
        closed_memory_budget = some(closed(CloseReason::MemoryBudget)),
        closed_package_too_long = some(closed(CloseReason::PackageTooLong)),
        closed_package_malformed = some(closed(CloseReason::PackageMalformed)),
        closed_shutdown = some(closed(CloseReason::Shutdown)),
        closed_shutdown_timeout = some(closed(CloseReason::ShutdownTimeout)),
        closed_no_worker = some(closed(CloseReason::NoWorker)),
        closed_idle = some(closed(CloseReason::Idle)),
        closed_silent = some(closed(CloseReason::Silent)),
        closed_first_package_timeout = some(closed(CloseReason::FirstPackageTimeout)),
        closed_package_timeout = some(closed(CloseReason::PackageTimeout)),
        closed_receive_too_slow = some(closed(CloseReason::ReceiveTooSlow)),
        closed_send_stalled = some(closed(CloseReason::SendStalled)),
        closed_overloaded = some(closed(CloseReason::Overloaded)),
        closed_request_deadline = some(closed(CloseReason::RequestDeadline)),
        closed_address_deaths = some(closed(CloseReason::AddressDeaths)),
        "books"
    );
}

fn log_handshakes(counts: &HandshakeCounts) {
    tracing::info!(
        begun = counts.begun,
        done = counts.done,
        resumed = some(counts.resumed),
        failed = some(counts.failed),
        timed_out = some(counts.timed_out),
        crowded_out = some(counts.crowded_out),
        ended = some(counts.ended),
        open = some(counts.open()),
        "handshakes"
    );
}

/// What became of connections that proxies forward.
fn log_proxy_headers(counts: &HeaderCounts) {
    let bad = |reason: BadHeader| some(counts.bad(reason));
    tracing::info!(
        awaited = counts.awaited,
        read = counts.read,
        untrusted = some(counts.untrusted),
        no_header = bad(BadHeader::NoHeader),
        malformed = bad(BadHeader::Malformed),
        too_long = bad(BadHeader::TooLong),
        unsupported = bad(BadHeader::Unsupported),
        checksum = bad(BadHeader::Checksum),
        left = some(counts.left),
        timed_out = some(counts.timed_out),
        crowded_out = some(counts.crowded_out),
        ended = some(counts.ended),
        open = some(counts.open()),
        "headers of proxies"
    );
}

/// What became of datagrams, if there were any.
fn log_datagram_books(books: &DatagramBooks) {
    if *books == DatagramBooks::default() {
        return;
    }
    let dropped = |reason: DatagramDrop| some(books.dropped.get(reason as usize).copied()?);
    let not_sent = |reason: NotSent| some(books.not_sent.get(reason as usize).copied()?);
    tracing::info!(
        received = books.received,
        finished = books.finished,
        in_hand = some(books.in_hand),
        waiting = some(books.waiting),
        dropped = some(books.dropped_total()),
        dropped_worker_died = dropped(DatagramDrop::WorkerDied),
        dropped_unservable = dropped(DatagramDrop::Unservable),
        dropped_peer_full = dropped(DatagramDrop::PeerFull),
        dropped_no_worker = dropped(DatagramDrop::NoWorker),
        dropped_too_long = dropped(DatagramDrop::TooLong),
        dropped_shutdown = dropped(DatagramDrop::Shutdown),
        dropped_package_rate = dropped(DatagramDrop::PackageRate),
        redelivered = some(books.redelivered),
        kernel_dropped = some(books.kernel_dropped),
        sent = some(books.sent),
        not_sent = some(books.not_sent_total()),
        not_sent_queue_full = not_sent(NotSent::QueueFull),
        not_sent_peer_full = not_sent(NotSent::PeerFull),
        not_sent_too_long = not_sent(NotSent::TooLong),
        not_sent_unreachable = not_sent(NotSent::Unreachable),
        not_sent_failed = not_sent(NotSent::Failed),
        not_sent_shutdown = not_sent(NotSent::Shutdown),
        not_sent_truncated = not_sent(NotSent::Truncated),
        "books of datagrams"
    );
}

/// What became of memberships of groups and of messages to them, if there were any.
fn log_group_books(counts: &GroupCounts) {
    if *counts == GroupCounts::default() {
        return;
    }
    tracing::info!(
        joined = some(counts.joined),
        left = some(counts.left),
        ended = some(counts.ended),
        members = some(counts.members),
        refused = some(counts.refused),
        messages = some(counts.messages),
        addressed = some(counts.addressed),
        delivered = some(counts.delivered),
        skipped = some(counts.skipped),
        closed = some(counts.closed),
        gone = some(counts.gone),
        "books of groups"
    );
}

fn log_dropped_input(books: &Books) {
    for reason in CloseReason::ALL {
        let bytes = books.input_dropped_bytes.get(reason as usize).copied().unwrap_or(0);
        if bytes > 0 {
            tracing::info!(reason = reason.name(), bytes, "input that nobody was given");
        }
    }
}

/// What became of tasks, if there were any. Those that are not over are none: the server is.
fn log_tasks(tasks: &TaskCounts) {
    if *tasks == TaskCounts::default() {
        return;
    }
    tracing::info!(
        asked = tasks.asked,
        finished = tasks.finished,
        failed = some(tasks.failed),
        dropped = some(tasks.dropped),
        left = some(tasks.left),
        open = some(tasks.open()),
        refused = some(tasks.refused),
        unkept = some(tasks.unkept),
        restored = some(tasks.restored),
        redelivered = some(tasks.redelivered),
        results = some(tasks.results),
        unheard = some(tasks.unheard),
        "books of tasks"
    );
}

/// What became of messages between processes, if there were any.
fn log_messages(messages: &MessageCounts) {
    if *messages == MessageCounts::default() {
        return;
    }
    tracing::info!(
        sent = messages.sent,
        delivered = messages.delivered,
        ended = some(messages.ended),
        left = some(messages.left),
        open = some(messages.open()),
        refused_not_running = some(messages.refused_not_running),
        refused_full = some(messages.refused_full),
        unheard = some(messages.unheard),
        "books of messages"
    );
}

/// What happened before there were sessions, beside them, and to what was not served.
fn log_lesser_books(books: &Books) {
    if books.handshakes.begun > 0 {
        log_handshakes(&books.handshakes);
    }
    if books.proxy_headers.awaited > 0 {
        log_proxy_headers(&books.proxy_headers);
    }
    log_datagram_books(&books.datagrams);
    log_group_books(&books.groups);
    log_tasks(&books.tasks);
    log_messages(&books.messages);
    log_dropped_input(books);
}
