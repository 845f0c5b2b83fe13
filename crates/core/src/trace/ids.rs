//! Where ids come from: a server's key, and the number of what is traced. So a package needs no id
//! of its own on its way: whoever knows its number knows its trace, in every process of the server.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128 as _, SipHasher24 as SipHasher128};

use super::context::{SpanId, TraceContext, TraceId};
use crate::ids::ProcessKey;

/// What begins a trace, when nobody outside has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// What a reactor has received of a client, by the moment of that, which no two of a reactor
    /// have in common.
    Received {
        /// The number of the reactor.
        reactor: u32,
        /// When, nanoseconds of the monotonic clock.
        at: u64,
    },
    /// A task that was asked outside of every trace.
    Task {
        /// By whom.
        asker: ProcessKey,
        /// What the asker calls it.
        number: u64,
    },
}

/// The trace that this begins, under the key of the server: random for who does not know that, and
/// the same whoever asks, and however often the thing is given again.
#[must_use]
pub fn trace_of(key: [u64; 2], traced: Traced) -> TraceId {
    let (kind, whose, number) = match traced {
        Traced::Received { reactor, at } => (1, u64::from(reactor), at),
        Traced::Task { asker, number } => (2, asker.pack(), number),
    };
    let [first, second] = key;
    let mut hasher = SipHasher128::new_with_keys(first, second);
    for word in [kind, whose, number] {
        hasher.write_u64(word);
    }
    TraceId::of_hash(hasher.finish128().as_u128())
}

/// The ids of the spans of one process.
#[derive(Clone, Copy, Debug)]
pub struct SpanIds {
    key: [u64; 2],
    process: u64,
    last: u64,
}

impl SpanIds {
    /// Those of this process, under the key of its server.
    #[must_use]
    pub const fn new(key: [u64; 2], process: ProcessKey) -> Self {
        Self { key, process: process.pack(), last: 0 }
    }

    /// The next one: no other process of the server makes the same but by chance.
    pub fn next_id(&mut self) -> SpanId {
        let [first, second] = self.key;
        loop {
            self.last = self.last.wrapping_add(1);
            let mut hasher = SipHasher24::new_with_keys(first, second);
            hasher.write_u64(self.process);
            hasher.write_u64(self.last);
            if let Some(id) = SpanId::new(hasher.finish()) {
                return id;
            }
        }
    }

    /// The first span of a trace that begins here.
    pub fn begin(&mut self, trace: TraceId) -> TraceContext {
        TraceContext::made(trace, self.next_id())
    }
}
