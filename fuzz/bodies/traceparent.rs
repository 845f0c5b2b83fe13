//! What a client says of its trace, arbitrary bytes: what is taken for a context survives its own
//! text, and no invalid id is ever taken.

use ostler_core::trace::{TRACEPARENT_BYTES, TraceContext};

pub fn header(input: &[u8]) {
    let Ok(context) = TraceContext::parse(input) else { return };
    assert!(input.len() >= TRACEPARENT_BYTES && !input.starts_with(b"ff"));
    assert!(input.len() == TRACEPARENT_BYTES || !input.starts_with(b"00"));
    assert!(context.trace_id().bits() != 0 && context.span_id().bits() != 0);
    let text = context.to_string();
    assert_eq!(&text.as_bytes()[2..53], &input[2..53], "ids are handed on as they came");
    assert_eq!(text.parse(), Ok(context));
    assert_eq!(TraceContext::of_ids(&context.ids(), context.flags()), Some(context));
}
