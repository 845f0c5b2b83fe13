//! Values that are wrong, and options that contradict each other.

use ostler::{Kind, Options};
use ostler_testkit::{TestResult, TestServer};

/// Starts with a wrong option; the text on stderr.
fn refused(name: &str, value: &str) -> TestResult<String> {
    let (code, text) = TestServer::echo().set(name, value).start_expecting_failure()?;
    assert_eq!(code, 2, "{name}={value}: {text}");
    assert!(text.contains(name), "{name}={value}: {text}");
    assert_eq!(text.lines().count(), 1, "{name}={value}: {text}");
    Ok(text)
}

#[test]
fn numbers_outside_the_limits_are_refused_with_the_nearest_valid_one() -> TestResult {
    for info in Options::table() {
        let (below, above, least, greatest) = match info.kind {
            Kind::Integer { min, max } | Kind::Bytes { min, max } => {
                (min.checked_sub(1).map(|n| n.to_string()), max + 1, min, max)
            }
            Kind::PowerOfTwo { min, max } => (Some((min - 1).to_string()), max + 1, min, max),
            _ => continue,
        };
        let nearest = |text: &str, value: u64| {
            let spelled =
                [value.to_string(), format!("{}K", value >> 10), format!("{}M", value >> 20)];
            let found =
                spelled.iter().any(|word| text.contains(&format!("nearest valid value is {word}")));
            let gib = format!("nearest valid value is {}G", value >> 30);
            assert!(found || text.contains(&gib), "{}: {value}: {text}", info.name);
        };
        for value in below.into_iter().chain(["-5".to_owned()]) {
            let text = refused(info.name, &value)?;
            assert!(text.contains(&format!("`{value}`")), "{text}");
            // 0 means automatic where powers of two are wanted, and is the nearest to what is below it.
            let zero = matches!(info.kind, Kind::PowerOfTwo { .. }) && value.starts_with('-');
            if !zero {
                nearest(&text, least);
            }
        }
        for value in [above.to_string(), "99999999999999999999999".to_owned()] {
            let text = refused(info.name, &value)?;
            assert!(text.contains(&format!("`{value}`")), "{text}");
            nearest(&text, greatest);
        }
        refused(info.name, "many")?;
        refused(info.name, "")?;
    }
    Ok(())
}

#[test]
fn words_and_forms_that_are_wrong_are_refused() -> TestResult {
    for info in Options::table() {
        let wrong: &[&str] = match info.kind {
            Kind::Bool => &["maybe", "", "2"],
            Kind::Choice(_) => &["nonsense", ""],
            Kind::CrashPolicy { .. } => {
                &["redeliver", "redeliver:0", "redeliver:101", "redeliver:x", "explode", ""]
            }
            Kind::Address => &["9501", "127.0.0.1", "127.0.0.1:99999", ":1", "[::1:80", ""],
            Kind::Delimiter { .. } => &["", "123456789", "\\q", "\\x0"],
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
