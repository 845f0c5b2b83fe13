//! Values that are wrong, and options that contradict each other.

use ostler::{OptionKind, Options};
use ostler_testkit::{TestResult, TestServer};

/// Starts with a wrong option; the text on stderr.
fn refused(name: &str, value: &str) -> TestResult<String> {
    let (code, text) = TestServer::echo().set(name, value).start_expecting_failure()?;
    assert_eq!(code, 2, "{name}={value}: {text}");
    assert!(text.contains(name), "{name}={value}: {text}");
    assert_eq!(text.lines().count(), 1, "{name}={value}: {text}");
    Ok(text)
}

/// The value that an error text calls the nearest valid one, as the option spells it.
fn nearest(name: &str, text: &str) -> String {
    let word = text.split_once("nearest valid value is ").map_or("", |(_, rest)| rest);
    let word = word.split(',').next().unwrap_or("");
    spelled(name, word)
}

fn spelled(name: &str, value: &str) -> String {
    let mut options = Options::default();
    options.set(name, value).unwrap_or_else(|error| panic!("{error}"));
    options.get(name).unwrap_or_default()
}

#[test]
fn numbers_outside_the_limits_are_refused_with_the_nearest_valid_one() -> TestResult {
    for info in Options::table() {
        let (min, max) = match info.kind {
            OptionKind::Integer { min, max }
            | OptionKind::Bytes { min, max }
            | OptionKind::BytesOrAutomatic { min, max }
            | OptionKind::Milliseconds { min, max }
            | OptionKind::Microseconds { min, max }
            | OptionKind::PowerOfTwo { min, max } => (min, max),
            _ => continue,
        };
        // 0 means automatic there, so that -5 has two neighbours.
        let automatic = matches!(
            info.kind,
            OptionKind::PowerOfTwo { .. } | OptionKind::BytesOrAutomatic { .. }
        );
        let below = min.checked_sub(1).map(|number| number.to_string());
        for value in below.into_iter().chain(["-5".to_owned()]) {
            let text = refused(info.name, &value)?;
            assert!(text.contains(&format!("`{value}`")), "{text}");
            if !automatic || value != "-5" {
                assert_eq!(
                    nearest(info.name, &text),
                    spelled(info.name, &min.to_string()),
                    "{text}"
                );
            }
        }
        for value in [(max + 1).to_string(), "99999999999999999999999".to_owned()] {
            let text = refused(info.name, &value)?;
            assert!(text.contains(&format!("`{value}`")), "{text}");
            assert_eq!(nearest(info.name, &text), spelled(info.name, &max.to_string()), "{text}");
        }
        refused(info.name, "many")?;
        refused(info.name, "")?;
    }
    Ok(())
}

#[test]
fn all_wrong_options_are_told_at_once() -> TestResult {
    let (code, text) = TestServer::echo()
        .set("worker", 3)
        .set("dispatch", "session_hsah")
        .set("memory_budget", "64MB")
        .set("send_queue_low", "2M")
        .set("receive_size", "4M")
        .set("workers", 1)
        .set("reactors", 1)
        .start_expecting_failure()?;
    assert_eq!(code, 2, "{text}");
    for words in [
        "5 options are wrong",
        "did you mean `workers`?",
        "did you mean `session_hash`?",
        "`MiB`",
        "`send_queue_low` (2M)",
        "`receive_size` (4M)",
    ] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    Ok(())
}

#[test]
fn words_and_forms_that_are_wrong_are_refused() -> TestResult {
    for info in Options::table() {
        let wrong: &[&str] = match info.kind {
            OptionKind::Bool => &["maybe", "", "2"],
            OptionKind::Choice(_) => &["nonsense", ""],
            OptionKind::CrashPolicy { .. } => {
                &["redeliver", "redeliver:0", "redeliver:101", "redeliver:x", "explode", ""]
            }
            OptionKind::Address => &["9501", "127.0.0.1", "127.0.0.1:99999", ":1", "[::1:80", ""],
            OptionKind::Delimiter { .. } => &["", "123456789", "\\q", "\\x0"],
            _ => &[],
        };
        for value in wrong {
            refused(info.name, value)?;
        }
    }
    let text = refused("dispatch", "session_hsah")?;
    assert!(text.contains("did you mean `session_hash`?"), "{text}");
    refused("log_file", "/nonexistent/directory/log")?;
    Ok(())
}

#[test]
fn an_unknown_option_names_the_one_that_was_meant() -> TestResult {
    let (code, text) = TestServer::echo().set("worker", 3).start_expecting_failure()?;
    assert_eq!(code, 2);
    assert!(text.contains("`worker`") && text.contains("did you mean `workers`?"), "{text}");
    let (code, text) = TestServer::echo().set("zzzzzzzz", 3).start_expecting_failure()?;
    assert_eq!(code, 2);
    assert!(text.contains("`zzzzzzzz`") && text.contains("docs/OPTIONS.md"), "{text}");
    Ok(())
}

#[test]
fn options_that_contradict_each_other_are_refused() -> TestResult {
    let contradictions: &[(&[(&str, &str)], &str)] = &[
        (&[("send_queue_low", "1M"), ("send_queue_high", "2K")], "send_queue_high"),
        (&[("send_queue_high", "2M")], "send_queue_max"),
        (&[("back_off_min_ms", "40000")], "back_off_max_ms"),
        (&[("memory_budget", "1M")], "package_max_length"),
        (&[("memory_budget", "1M"), ("reactors", "8")], "reactors"),
        (&[("max_send_bytes", "1G")], "memory_budget"),
        (&[("lane_memory", "128K"), ("workers", "4"), ("reactors", "4")], "lane_memory"),
        (&[("lane_size", "16M"), ("lane_memory", "1M")], "lane_memory"),
        // It ends the session, so that nobody could stay; and packages need boundaries.
        (&[("request_deadline_answer", "answer:-LATE"), ("framing", "line")], "use `bytes:`"),
        (&[("refusal", "answer:-BUSY")], "framing"),
        (
            &[
                ("framing", "length"),
                ("package_length_offset", "100"),
                ("package_max_length", "64"),
            ],
            "package_length_offset",
        ),
    ];
    for (settings, named) in contradictions {
        let builder = settings
            .iter()
            .fold(TestServer::echo().set("workers", 2).set("reactors", 2), |builder, (n, v)| {
                builder.set(n, v)
            });
        let (code, text) = builder.start_expecting_failure()?;
        assert_eq!(code, 2, "{settings:?}: {text}");
        assert!(text.contains(named), "{settings:?}: {text}");
    }
    Ok(())
}

#[test]
fn an_address_that_is_taken_is_an_error_of_its_own() -> TestResult {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let (code, text) = TestServer::echo().set("listen", address).start_expecting_failure()?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains(&address.to_string()), "{text}");
    Ok(())
}
