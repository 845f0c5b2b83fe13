//! The rules of the house, held against the repository itself.

#[test]
fn the_repository_keeps_the_rules_of_the_house() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let findings = ostler_tidy::check(&root).unwrap();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} breaches (crates/tidy/src/lib.rs has the rules):\n{}",
        lines.len(),
        lines.join("\n")
    );
}
