//! The example whose work is done in task workers.

mod talk;

use ostler_testkit::{TestResult, TestServer};
use talk::Talk;

#[test]
fn factors_are_found_and_what_is_no_number_is_said() -> TestResult {
    let server = TestServer::example("factors").set("workers", 1).start()?;
    let mut talk = Talk::new(&server)?;
    for (number, answer) in [
        ("12", "12 = 2 * 2 * 3"),
        ("1", "1 = 1"),
        ("9999991", "9999991 = 9999991"),
        ("1000036000099", "1000036000099 = 1000003 * 1000033"),
        ("tea", "\"tea\" is no number below 2^64"),
    ] {
        talk.expect_answer(number, answer)?;
    }
    server.stop()
}
