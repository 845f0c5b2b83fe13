//! The bodies of the fuzz targets `framing_*`, `proxy_protocol`, `session_states`, `task_journal`
//! and `traceparent`, on the inputs that are kept of them.
#![allow(clippy::unwrap_used)] // a test that cannot go on

#[path = "../../../fuzz/bodies/framing.rs"]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, missing_docs)]
// A fuzz body: a panic is a finding.
mod framing;
#[path = "../../../fuzz/bodies/proxy_protocol.rs"]
#[allow(clippy::indexing_slicing, missing_docs)] // a fuzz body: a panic is a finding
mod proxy_protocol;
#[path = "../../../fuzz/bodies/session_states.rs"]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, missing_docs)]
// A fuzz body: a panic is a finding.
mod session_states;
#[path = "../../../fuzz/bodies/task_journal.rs"]
#[allow(clippy::indexing_slicing, missing_docs)] // a fuzz body: a panic is a finding
mod task_journal;
#[path = "../../../fuzz/bodies/traceparent.rs"]
#[allow(clippy::indexing_slicing, missing_docs)] // a fuzz body: a panic is a finding
mod traceparent;

#[path = "../../../fuzz/bodies/hand_over.rs"]
#[allow(missing_docs)] // a fuzz body: a panic is a finding
mod hand_over;

/// The inputs of a target, short and few.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    let files = std::fs::read_dir(format!("{directory}/{target}")).unwrap();
    let inputs: Vec<Vec<u8>> =
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!inputs.is_empty() && inputs.len() <= 200, "{target}: {} inputs", inputs.len());
    assert!(inputs.iter().all(|input| input.len() <= 512), "{target}: one is long");
    inputs
}

#[test]
fn what_fuzzing_has_found_breaks_no_promise() {
    type Body = fn(&[u8]);
    let bodies: [(&str, Body); 11] = [
        ("framing_raw", framing::raw),
        ("framing_eof_split", framing::eof_split),
        ("framing_eof_at_end", framing::eof_at_end),
        ("framing_length_field", framing::length_field),
        ("framing_mqtt", framing::mqtt),
        ("framing_resp", framing::resp),
        ("framing_stream", framing::stream),
        ("proxy_protocol", proxy_protocol::header),
        ("session_states", session_states::script),
        ("task_journal", task_journal::spoilt),
        ("traceparent", traceparent::header),
    ];
    for (target, body) in bodies {
        for input in corpus(target) {
            body(&input);
        }
    }
}

#[test]
fn whatever_another_master_says_of_its_sessions_is_refused_or_said_in_one_way() {
    corpus("hand_over").iter().for_each(|input| hand_over::list(input));
}
