//! A trace, a span of it, and what is said about both.

use std::fmt;

/// The id of a trace, never 0: all that one request has caused, in whichever processes and
/// programs, has the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

impl TraceId {
    /// The id with these bits; `None` for 0, which is no id.
    #[must_use]
    pub const fn new(bits: u128) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// The id that a hash is. One of 2^128 is 0, and has to be something else.
    pub(super) const fn of_hash(hash: u128) -> Self {
        if hash == 0 { Self(1) } else { Self(hash) }
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a span, never 0: one piece of work within a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

impl SpanId {
    /// The id with these bits; `None` for 0, which is no id.
    #[must_use]
    pub const fn new(bits: u64) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where in which trace something happens: what one process tells the next, and what stands in the
/// header `traceparent` of *W3C Trace Context*. `Display` writes that header, and
/// [`str::parse`] reads it:
///
/// ```
/// use ostler_core::trace::TraceContext;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = header.parse()?;
/// assert!(context.is_sampled());
/// assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert_eq!(context.to_string(), header);
/// # Ok::<(), ostler_core::trace::TraceparentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: u8,
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;
/// The flag of a trace whose id is random in its last seven bytes at least.
const RANDOM: u8 = 2;

impl TraceContext {
    /// Bytes of [`TraceContext::ids`].
    pub const IDS_BYTES: usize = 24;

    /// A context that says nothing of its trace.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, flags: 0 }
    }

    /// The same with these flags; those that the recommendation does not know are left away.
    #[must_use]
    pub const fn with_flags(self, flags: u8) -> Self {
        Self { flags: flags & (SAMPLED | RANDOM), ..self }
    }

    /// The same of a trace that is recorded, or not.
    #[must_use]
    pub const fn sampled(self, is_sampled: bool) -> Self {
        let flags = self.flags & !SAMPLED;
        Self { flags: if is_sampled { flags | SAMPLED } else { flags }, ..self }
    }

    /// Another span of the same trace.
    #[must_use]
    pub const fn with_span(self, span_id: SpanId) -> Self {
        Self { span_id, ..self }
    }

    /// A trace whose id was made here.
    pub(super) const fn made(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, flags: RANDOM }
    }

    /// The trace.
    ///
    /// ```
    /// # use ostler_core::trace::TraceContext;
    /// fn note(context: &TraceContext) {
    ///     println!("trace_id={}", context.trace_id());
    /// }
    /// ```
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span.
    ///
    /// ```
    /// # use ostler_core::trace::TraceContext;
    /// fn note(context: &TraceContext) {
    ///     println!("span_id={}", context.span_id());
    /// }
    /// ```
    #[must_use]
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Whether the trace is recorded: its spans are worth telling.
    ///
    /// ```
    /// # use ostler_core::trace::TraceContext;
    /// fn note(context: &TraceContext, what: &str) {
    ///     if context.is_sampled() {
    ///         println!("{context} {what}");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// All flags, as the header has them.
    ///
    /// ```
    /// # use ostler_core::trace::TraceContext;
    /// fn is_random(context: &TraceContext) -> bool {
    ///     context.flags() & 2 != 0
    /// }
    /// ```
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Both ids as bytes; the flags go apart.
    #[must_use]
    pub fn ids(&self) -> [u8; Self::IDS_BYTES] {
        let mut bytes = [0; Self::IDS_BYTES];
        let (trace, span) = bytes.split_at_mut(16);
        trace.copy_from_slice(&self.trace_id.0.to_be_bytes());
        span.copy_from_slice(&self.span_id.0.to_be_bytes());
        bytes
    }

    /// The context with these ids; `None` when one of them is none.
    #[must_use]
    pub fn of_ids(ids: &[u8; Self::IDS_BYTES], flags: u8) -> Option<Self> {
        let (trace, rest) = ids.split_first_chunk::<16>()?;
        let trace_id = TraceId::new(u128::from_be_bytes(*trace))?;
        let span_id = SpanId::new(u64::from_be_bytes(*rest.first_chunk::<8>()?))?;
        Some(Self::new(trace_id, span_id).with_flags(flags))
    }
}
