//! The shared words of a lane and of a worker process, grouped by who writes them (protocol §2).
//!
//! Each group fills its own cache line, so that a side polling one word does not slow the writer of
//! another. All-zero memory is the valid initial state of every group: a fresh memory file needs no
//! initialisation.

use crate::sync::AtomicU64;

/// Reactor's word: how far packages are published.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct PackageLine {
    /// Byte position behind the last published package record.
    pub pkg_written: AtomicU64,
}

/// Reactor's words: the gate of a recall (protocol §7).
#[repr(C, align(64))]
#[derive(Debug)]
pub struct GateLine {
    /// Odd while a recall is in progress, even otherwise; each recall adds two.
    pub gate: AtomicU64,
    /// First byte position of the last recalled range.
    pub void_from: AtomicU64,
    /// Byte position behind the last recalled range.
    pub void_to: AtomicU64,
}

/// Reactor's words: the answers' ring and the leave flag.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct ControlLine {
    /// Byte position behind the last published answer.
    pub ctl_written: AtomicU64,
    /// 1 while answers wait for room: whoever reads some rings.
    pub ctl_waits: AtomicU64,
    /// 1 once no package will ever be given on this lane again. A word, not a record: a full ring
    /// cannot hide it.
    pub leave: AtomicU64,
}

/// Reactor's word: how far it has consumed the worker's outputs.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct ConsumedLine {
    /// Everything below this position of the out ring may be reused by the worker.
    pub out_read: AtomicU64,
}

/// All words of one lane that the reactor writes; they lie in the `down` file.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct DownWords {
    /// Published packages.
    pub package: PackageLine,
    /// The recall's gate.
    pub gate: GateLine,
    /// Answers and leave.
    pub control: ControlLine,
    /// Consumed outputs.
    pub consumed: ConsumedLine,
}

/// Worker's words: what it started and what it needs no more.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct TakenLine {
    /// A record at position `p` is started when `p < taken`.
    pub taken: AtomicU64,
    /// The worker holds no reference to package memory below this position.
    pub freed: AtomicU64,
}

/// Worker's word: how far its outputs are written.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct OutLine {
    /// Byte position behind the last written output record; a record counts only when its
    /// transaction is committed.
    pub out_written: AtomicU64,
}

/// All words of one lane that the worker writes; they lie in the `up` file.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct UpWords {
    /// Started and freed.
    pub taken: TakenLine,
    /// Written outputs.
    pub out: OutLine,
    /// Everything below this position of the answers' ring was read.
    pub ctl_read: OutLine,
}

/// Worker's word: the one atomic point of all its lanes.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CommitLine {
    /// Number of the last transaction whose outputs exist.
    pub commit: AtomicU64,
}

/// Worker's words: whether it sleeps and whether it wants room.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct SleepLine {
    /// Epoch: odd while the worker sleeps.
    pub worker_sleep: AtomicU64,
    /// Epoch: odd while the worker waits for room in an out ring.
    pub room_want: AtomicU64,
}

/// Worker's word: how long its deliveries take, for reactors. (What it is doing stands in its black
/// box, which its manager reads: [`crate::black_box`].)
#[repr(C, align(64))]
#[derive(Debug)]
pub struct WorkLine {
    /// What one delivery takes this process, in nanoseconds; 0 while it has measured none. The
    /// reactor cannot measure it: it sees only times that contain its own work, wake-ups and the
    /// wait for a CPU.
    pub work_ns: AtomicU64,
}

/// Worker's word: which messages of other processes are its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct MessagesLine {
    /// How many messages it has begun to handle, of those that the first reactor has given to it.
    pub taken: AtomicU64,
}

/// Worker's word: which answers it has let go of, of those that it reads where they lie.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct AnswersLine {
    /// Of the answers that the first reactor has in its body area for this process, so many are
    /// needed no more: the first ones, in their order.
    pub let_go: AtomicU64,
}

/// The words of one worker process over all its lanes; they lie at the head of the `up` file.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct ProcessWords {
    /// The commit word.
    pub commit: CommitLine,
    /// Sleep and room.
    pub sleep: SleepLine,
    /// Work.
    pub work: WorkLine,
    /// Messages.
    pub messages: MessagesLine,
    /// Answers.
    pub answers: AnswersLine,
}

macro_rules! zeroed_new {
    ($($type:ident { $($field:ident : $inner:expr),* $(,)? })*) => {$(
        impl $type {
            /// All words zero: the state of a fresh memory file. For models and tests.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self { $($field: $inner),* }
            }
        }
    )*};
}

zeroed_new! {
    PackageLine { pkg_written: AtomicU64::new(0) }
    GateLine { gate: AtomicU64::new(0), void_from: AtomicU64::new(0), void_to: AtomicU64::new(0) }
    ControlLine {
        ctl_written: AtomicU64::new(0), ctl_waits: AtomicU64::new(0), leave: AtomicU64::new(0),
    }
    ConsumedLine { out_read: AtomicU64::new(0) }
    DownWords {
        package: PackageLine::new(), gate: GateLine::new(), control: ControlLine::new(),
        consumed: ConsumedLine::new(),
    }
    TakenLine { taken: AtomicU64::new(0), freed: AtomicU64::new(0) }
    OutLine { out_written: AtomicU64::new(0) }
    UpWords { taken: TakenLine::new(), out: OutLine::new(), ctl_read: OutLine::new() }
    CommitLine { commit: AtomicU64::new(0) }
    SleepLine { worker_sleep: AtomicU64::new(0), room_want: AtomicU64::new(0) }
    WorkLine { work_ns: AtomicU64::new(0) }
    MessagesLine { taken: AtomicU64::new(0) }
    AnswersLine { let_go: AtomicU64::new(0) }
    ProcessWords {
        commit: CommitLine::new(), sleep: SleepLine::new(), work: WorkLine::new(),
        messages: MessagesLine::new(), answers: AnswersLine::new(),
    }
}
