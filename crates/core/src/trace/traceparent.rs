//! The header `traceparent`, as *W3C Trace Context* has it: `VERSION-TRACE-SPAN-FLAGS`, all of them
//! hexadecimal digits in lower case.

use std::fmt;
use std::str::FromStr;

use super::context::{SpanId, TraceContext, TraceId};

/// Bytes of a header of version 00; what others may have behind them is not read.
pub const TRACEPARENT_BYTES: usize = 55;

/// Why a text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceparentError {
    /// It is too short, too long for its version, or its parts stand elsewhere.
    Form,
    /// Its version is `ff`, which there will never be.
    Version,
    /// The id of its trace is no 32 digits in lower case, or they are all 0.
    TraceId,
    /// The id of its span is no 16 digits in lower case, or they are all 0.
    SpanId,
    /// Its flags are no two digits in lower case.
    Flags,
}

impl fmt::Display for TraceparentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a traceparent is 55 characters in four parts: 00-TRACE-SPAN-FLAGS",
            Self::Version => "a traceparent has a version of two hexadecimal digits, and not ff",
            Self::TraceId => "a trace id is 32 hexadecimal digits in lower case, not all 0",
            Self::SpanId => "a span id is 16 hexadecimal digits in lower case, not all 0",
            Self::Flags => "flags are two hexadecimal digits in lower case",
        })
    }
}

impl std::error::Error for TraceparentError {}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags())
    }
}

impl FromStr for TraceContext {
    type Err = TraceparentError;

    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        Self::parse(text.as_bytes())
    }
}

impl TraceContext {
    /// Reads the value of a header `traceparent`, without spaces around it. Of a version that is
    /// not known what is known is read, and written as version 00 from then on.
    ///
    /// ```
    /// use ostler_core::trace::TraceContext;
    ///
    /// let value = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    /// assert!(TraceContext::parse(value).is_ok_and(|context| !context.is_sampled()));
    /// assert!(TraceContext::parse(b"00-4BF9").is_err());
    /// ```
    ///
    /// # Errors
    /// What is wrong with it. By the recommendation it is as if there were none.
    pub fn parse(value: &[u8]) -> Result<Self, TraceparentError> {
        let (known, rest) =
            value.split_at_checked(TRACEPARENT_BYTES).ok_or(TraceparentError::Form)?;
        let [version, trace, span, flags] = parts(known).ok_or(TraceparentError::Form)?;
        let version = hexadecimal(version).filter(|version| *version != 0xff);
        let version = version.ok_or(TraceparentError::Version)?;
        // What follows in a later version begins as every part does.
        if !rest.is_empty() && (version == 0 || rest.first() != Some(&b'-')) {
            return Err(TraceparentError::Form);
        }
        let trace_id = hexadecimal(trace).and_then(TraceId::new);
        let trace_id = trace_id.ok_or(TraceparentError::TraceId)?;
        let span_id = hexadecimal(span).and_then(|bits| SpanId::new(bits as u64));
        let span_id = span_id.ok_or(TraceparentError::SpanId)?;
        let flags = hexadecimal(flags).ok_or(TraceparentError::Flags)?;
        Ok(Self::new(trace_id, span_id).with_flags(flags as u8))
    }
}

/// The four parts, with a hyphen between any two.
fn parts(known: &[u8]) -> Option<[&[u8]; 4]> {
    let hyphens = [2, 35, 52];
    if hyphens.iter().any(|at| known.get(*at) != Some(&b'-')) {
        return None;
    }
    Some([known.get(..2)?, known.get(3..35)?, known.get(36..52)?, known.get(53..55)?])
}

/// The number that at most 32 digits in lower case are; `None` when there is another character.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}
