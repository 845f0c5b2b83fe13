use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::ids::ProcessKey;

const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const KEY: [u64; 2] = [3, 5];

fn read(text: &str) -> Result<TraceContext, TraceparentError> {
    text.parse()
}

#[test]
fn a_header_is_read_and_written_as_it_was() {
    let context = read(VALID).unwrap();
    assert_eq!(context.trace_id().bits(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    assert_eq!(context.span_id().bits(), 0x00f0_67aa_0ba9_02b7);
    assert!(context.is_sampled());
    assert_eq!(context.to_string(), VALID);
    assert!(!context.sampled(false).is_sampled());
    assert_eq!(context.sampled(false).sampled(true), context);
}

#[test]
fn what_the_recommendation_calls_invalid_is_refused() {
    let with = |at: usize, text: &str| {
        let mut changed = VALID.to_owned();
        changed.replace_range(at..at + text.len(), text);
        read(&changed)
    };
    for (at, text, error) in [
        (0, "ff", TraceparentError::Version),
        (0, "0G", TraceparentError::Version),
        (0, "0A", TraceparentError::Version),
        (3, "00000000000000000000000000000000", TraceparentError::TraceId),
        (3, "4B", TraceparentError::TraceId),
        (34, "g", TraceparentError::TraceId),
        (36, "0000000000000000", TraceparentError::SpanId),
        (36, "00F0", TraceparentError::SpanId),
        (53, "0x", TraceparentError::Flags),
        (53, "0A", TraceparentError::Flags),
        (2, "_", TraceparentError::Form),
        (35, "a", TraceparentError::Form),
        (52, "0", TraceparentError::Form),
    ] {
        assert_eq!(with(at, text), Err(error), "{text} at {at}");
    }
    for text in ["", "00", &VALID[..54], &format!(" {VALID}"), &format!("{VALID} ")] {
        assert_eq!(read(text), Err(TraceparentError::Form), "{text:?}");
    }
    // Version 00 has nothing behind its flags.
    assert_eq!(read(&format!("{VALID}-00")), Err(TraceparentError::Form));
}

#[test]
fn of_a_later_version_what_is_known_is_read() {
    let later = VALID.replacen("00", "cc", 1);
    for text in
        [later.clone(), format!("{later}-what the future will be like"), format!("{later}-")]
    {
        assert_eq!(read(&text).unwrap().to_string(), VALID, "{text}");
    }
    assert_eq!(read(&format!("{later}.x")), Err(TraceparentError::Form));
    assert_eq!(read(&format!("{later}00")), Err(TraceparentError::Form));
}

#[test]
fn flags_that_nobody_knows_are_not_handed_on() {
    let context = read(&VALID.replace("-01", "-ff")).unwrap();
    assert_eq!(context.flags(), 3);
    assert!(context.to_string().ends_with("-03"));
}

#[test]
fn a_trace_is_the_same_for_whoever_asks_and_another_for_everything_else() {
    let received = |reactor, at| Traced::Received { reactor, at };
    let task = |slot, number| Traced::Task { asker: ProcessKey::event(slot, 1), number };
    let all = [received(0, 7), received(1, 7), received(0, 8), task(0, 7), task(1, 7), task(0, 8)];
    let ids: HashSet<_> = all.iter().map(|traced| trace_of(KEY, *traced)).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(trace_of(KEY, received(1, 7)), trace_of(KEY, received(1, 7)));
    assert_ne!(trace_of(KEY, received(1, 7)), trace_of([3, 6], received(1, 7)));
}

#[test]
fn spans_of_all_processes_have_ids_of_their_own() {
    let mut seen = HashSet::new();
    for process in [ProcessKey::event(0, 1), ProcessKey::event(0, 2), ProcessKey::task(0, 1)] {
        let mut ids = SpanIds::new(KEY, process);
        for _ in 0..1_000 {
            assert!(seen.insert(ids.next_id()));
        }
    }
}

#[test]
fn so_many_traces_are_sampled_as_were_asked_for() {
    let sampled = |ppm| {
        let ratio = SampleRatio::of_ppm(ppm);
        let of = |at| trace_of(KEY, Traced::Received { reactor: 0, at });
        (0..20_000).filter(|at| ratio.samples(of(*at))).count()
    };
    assert_eq!((sampled(0), sampled(SAMPLE_ALL_PPM), sampled(u32::MAX)), (0, 20_000, 20_000));
    // 5 000 expected, with a deviation of 61.
    assert!((4_600..5_400).contains(&sampled(250_000)), "{}", sampled(250_000));
}

/// The threshold of a quarter is `c` in OpenTelemetry's `th`: the upper end is recorded.
#[test]
fn what_is_recorded_is_what_consistent_sampling_records() {
    let samples = |ppm, number: u128| {
        // What stands in front of the last 56 bits is nobody's business.
        let trace = TraceId::new(0xffff_ffff_ffff_ffff_ab00_0000_0000_0000 | number).unwrap();
        SampleRatio::of_ppm(ppm).samples(trace)
    };
    assert!(samples(250_000, 0xc0_0000_0000_0000) && !samples(250_000, 0xbf_ffff_ffff_ffff));
    assert!(samples(1_000_000, 0) && !samples(0, 0xff_ffff_ffff_ffff));
    assert!(samples(1, 0xff_ffff_ffff_ffff) && !samples(999_999, 0));
}

#[test]
fn a_trace_that_is_sampled_stays_so_when_more_are() {
    for at in 0..1_000 {
        let trace = trace_of(KEY, Traced::Received { reactor: 0, at });
        let is_sampled = [0, 1_000, 500_000, 999_999, SAMPLE_ALL_PPM]
            .map(|ppm| SampleRatio::of_ppm(ppm).samples(trace));
        assert!(is_sampled.is_sorted(), "{is_sampled:?}");
    }
}

proptest! {
    #[test]
    fn every_context_survives_its_text_and_its_bytes(
        trace in 1_u128.., span in 1_u64.., flags in any::<u8>(),
    ) {
        let context = TraceContext::new(TraceId::new(trace).unwrap(), SpanId::new(span).unwrap())
            .with_flags(flags);
        let text = context.to_string();
        prop_assert_eq!(text.len(), TRACEPARENT_BYTES);
        prop_assert_eq!(read(&text), Ok(context));
        prop_assert_eq!(TraceContext::of_ids(&context.ids(), flags), Some(context));
    }

    /// Whatever is read is a header of version 00 or would be one if it said so.
    #[test]
    fn nothing_is_read_that_is_no_header(
        version in "[0-9a-f]{2}", trace in "[0-9a-fA]{32}", span in "[0-9a-f]{15,16}",
        flags in "[0-9a-f]{2}", rest in "(-?[ -~]{0,9})?",
    ) {
        let text = format!("{version}-{trace}-{span}-{flags}{rest}");
        let is_valid = version != "ff"
            && !trace.contains('A') && trace.contains(|digit| digit != '0')
            && span.len() == 16 && span.contains(|digit| digit != '0')
            && (rest.is_empty() || version != "00" && rest.starts_with('-'));
        prop_assert_eq!(read(&text).is_ok(), is_valid, "{}", text);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(context) = TraceContext::parse(&bytes) {
            prop_assert_eq!(context.to_string().as_bytes()[2..53].to_vec(), &bytes[2..53]);
        }
    }
}
