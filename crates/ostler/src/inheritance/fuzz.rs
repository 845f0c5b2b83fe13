//! What a master lays down for its workers, in any bytes: it is read, and then says the same when
//! it is written again, or it is refused in words.

use super::charter::Charter;

/// Reads a charter.
pub fn charter(input: &[u8]) {
    match Charter::parse(input) {
        Ok(charter) => {
            let options = charter.options.spelled();
            let Ok(file) = charter.write() else { return };
            let again = Charter::read(&file).map(|again| again.options.spelled());
            assert_eq!(again, Ok(options), "it says something else when it is written again");
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
}
