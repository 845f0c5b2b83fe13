use super::*;

/// Runs a body over the inputs that are kept of it, short and few.
fn over_its_corpus(target: &str, body: fn(&[u8])) {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    let files = std::fs::read_dir(format!("{directory}/{target}")).unwrap();
    let inputs: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!inputs.is_empty() && inputs.len() <= 600, "{target}: {} inputs", inputs.len());
    for input in inputs {
        assert!(input.len() <= 512, "{target}: one is long");
        body(&input);
    }
}

#[test]
fn what_fuzzing_has_found_breaks_no_promise() {
    over_its_corpus("control", control);
    over_its_corpus("slow_turn", slow_turn);
    over_its_corpus("charter", charter);
    over_its_corpus("options_file", options_file);
    over_its_corpus("options_words", options_words);
    over_its_corpus("operator", operator);
}

#[cfg(feature = "tls")]
#[test]
fn what_fuzzing_has_found_of_certificates_breaks_no_promise() {
    over_its_corpus("certificates", certificates);
    over_its_corpus("tls_hello", tls_hello);
}
