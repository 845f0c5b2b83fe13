//! How cases are told: in the log, and in the files that options name.

use ostler_core::Millis;
use ostler_core::fnv::fnv1a;
use ostler_shm::black_box::phase::Phase;
use ostler_shm::board::Board;

use super::DiagnosisSettings;
use super::case::{Case, DeathCase, SlowCase, TurnCase, callback_of};
use crate::log::Record;
use crate::stacks::Frame;

/// Bytes of a stack in a line of the log, which has 4 096 for all.
const LINE_STACK_BYTES_MAX: usize = 3_000;
/// Frames by which two deaths are the same.
const FINGERPRINT_FRAMES: usize = 8;

/// The frames, or why there are none.
pub(super) type Frames = Result<Vec<Frame>, String>;

/// What is told of a callback.
struct About {
    callback: String,
    session: Option<u64>,
    peer: Option<String>,
    port: Option<String>,
    queue_ms: Option<Millis>,
    is_repeated: bool,
}

impl About {
    fn new(settings: &DiagnosisSettings, phase: Phase, board: Option<&Board>) -> Self {
        let session = Some(phase.session).filter(|session| *session != 0);
        let record = session.and_then(|session| board?.session(session));
        let is_delivery = phase.received_ns != 0;
        let waited = phase.started_ns.saturating_sub(phase.received_ns) / 1_000_000;
        let port = settings.port_names.get(usize::from(phase.port)).filter(|_| is_delivery);
        Self {
            callback: callback_of(phase),
            session,
            peer: record.map(|record| record.peer.to_string()),
            port: port.cloned(),
            queue_ms: is_delivery.then_some(waited),
            is_repeated: phase.is_repeated,
        }
    }

    fn add_to(&self, record: &mut Record) {
        record.text("callback", Some(&self.callback));
        record.bare("session", self.session);
        record.text("peer", self.peer.as_ref());
        record.text("port", self.port.as_ref());
        record.bare("queue_ms", self.queue_ms);
        record.bare("repeated", self.is_repeated.then_some(true));
    }
}

/// Tells a slow callback.
pub(super) fn slow(
    settings: &DiagnosisSettings,
    case: &SlowCase,
    board: Option<&Board>,
    frames: &Frames,
) {
    let about = About::new(settings, case.phase, board);
    let (stack, no_stack) = (frames.as_ref().ok(), frames.as_ref().err());
    let Some(file) = &settings.slow_file else {
        let About { callback, session, peer, port, queue_ms, is_repeated } = about;
        tracing::warn!(
            worker = %case.worker,
            pid = case.pid.get(),
            callback,
            session,
            peer,
            port,
            queue_ms,
            elapsed_ms = case.elapsed_ms,
            repeated = is_repeated.then_some(true),
            state = case.state,
            no_stack,
            stack = stack.map(|frames| on_one_line(frames)),
            "slow request"
        );
        return;
    };
    let mut record = Record::new("slow request");
    record.text("worker", Some(case.worker));
    record.bare("pid", Some(case.pid));
    about.add_to(&mut record);
    record.bare("elapsed_ms", Some(case.elapsed_ms));
    record.text("state", case.state);
    record.text("no_stack", no_stack);
    record.stack(stack.into_iter().flatten().map(ToString::to_string));
    file.append(&record);
}

/// Tells a slow turn of a reactor.
pub(super) fn turn(case: &TurnCase, frames: &Frames) {
    let (stack, no_stack) = (frames.as_ref().ok(), frames.as_ref().err());
    tracing::warn!(
        reactor = case.reactor,
        elapsed_ms = case.elapsed_ms,
        more = Some(case.more).filter(|more| *more > 0),
        no_stack,
        stack = stack.map(|frames| on_one_line(frames)),
        "a turn of a reactor takes long"
    );
}

/// Tells a death; its line in the log was written when it was noticed.
pub(super) fn death(
    settings: &DiagnosisSettings,
    case: &DeathCase,
    board: Option<&Board>,
    frames: &Frames,
    seen: Option<(u64, u64)>,
) {
    let (stack, no_stack) = (frames.as_ref().ok(), frames.as_ref().err());
    if let Some(frames) = stack {
        let (worker, pid, cause) = (case.worker, case.pid.get(), &case.cause);
        let count = seen.map(|(_, count)| count);
        tracing::info!(%worker, pid, cause, count, stack = on_one_line(frames), "stack of a death");
    }
    let Some(file) = &settings.death_file else { return };
    let mut record = Record::new("worker died");
    record.text("worker", Some(case.worker));
    record.text("kind", Some("event"));
    record.bare("slot", Some(case.worker.slot.0));
    record.bare("generation", Some(case.worker.generation.0));
    record.bare("pid", Some(case.pid));
    record.text("cause", Some(&case.cause));
    record.text("held_by", case.held_by.as_ref());
    if let Some(phase) = case.phase {
        About::new(settings, phase, board).add_to(&mut record);
    }
    record.bare("elapsed_ms", case.elapsed_ms);
    record.bare("age_ms", Some(case.age_ms));
    record.bare("memory_peak_kib", Some(case.memory_peak_kib));
    record.bare("cpu_ms", Some(case.cpu_ms));
    record.text("fingerprint", seen.map(|(fingerprint, _)| format!("{fingerprint:016x}")));
    record.bare("count", seen.map(|(_, count)| count));
    record.bare("more", Some(case.more).filter(|more| *more > 0));
    record.text("no_stack", no_stack);
    record.stack(stack.into_iter().flatten().map(ToString::to_string));
    file.append(&record);
}

/// Tells a case whose stack was not read, and why that was not (empty: it has none).
pub(super) fn without_stack(settings: &DiagnosisSettings, case: &Case, why: &str) {
    let why = match case.stack() {
        super::case::Stack::Missing(why) => why.clone(),
        super::case::Stack::Captured(_) => why.to_owned(),
    };
    match case {
        Case::Slow(case) => slow(settings, case, None, &Err(why)),
        Case::Turn(case) => turn(case, &Err(why)),
        Case::Death(case) => death(settings, case, None, &Err(why), None),
    }
}

/// The same number for deaths of the same cause at the same place; not 0.
pub(super) fn fingerprint(case: &DeathCase, frames: &[Frame]) -> u64 {
    // Addresses differ between processes.
    let cause = case.cause.split(", at address").next().unwrap_or_default();
    let functions = frames.iter().take(FINGERPRINT_FRAMES).map(|frame| frame.function.as_str());
    let bytes = std::iter::once(cause).chain(functions).flat_map(|text| text.bytes().chain([0]));
    fnv1a(bytes).max(1)
}

/// The stack on one line, as much of it as there is room for.
fn on_one_line(frames: &[Frame]) -> String {
    let mut line = String::new();
    for (index, frame) in frames.iter().enumerate() {
        let text = frame.to_string();
        if line.len() + text.len() > LINE_STACK_BYTES_MAX {
            line.push_str(&format!(" < ({} more)", frames.len() - index));
            break;
        }
        line.push_str(if index == 0 { "" } else { " < " });
        line.push_str(&text);
    }
    line
}
