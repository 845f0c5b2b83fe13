//! What holds for every option, asked of the table.

use proptest::prelude::*;

use super::amount::Measure;
use super::*;
use crate::error::Error;

/// Options whose default depends on the machine.
const BY_MACHINE: [&str; 2] = ["workers", "reactors"];

fn refused(name: &str, value: &str) -> String {
    let mut options = Options::default();
    let before = options.clone();
    let error: Error = options.set(name, value).expect_err(&format!("{name} = {value} was taken"));
    assert!(error.is_option(), "{error}");
    assert_eq!(options, before, "a refused value changes nothing");
    error.to_string()
}

/// How a number of an option is spelled.
type Spell = fn(u64) -> String;
/// Options that contradict each other, and words that the error must have.
type Contradiction<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

/// Smallest and largest value of a numeric option, and how to spell them.
fn limits(kind: OptionKind) -> Option<(u64, u64, Spell)> {
    match kind {
        OptionKind::Integer { min, max } => Some((min, max, |n| n.to_string())),
        OptionKind::Bytes { min, max } => Some((min, max, size::render)),
        OptionKind::Milliseconds { min, max } => {
            Some((min, max, |n| Measure::Milliseconds.render(n)))
        }
        OptionKind::Microseconds { min, max } => {
            Some((min, max, |n| Measure::Microseconds.render(n)))
        }
        _ => None,
    }
}

/// What a numeric option counts.
fn measure(kind: OptionKind) -> Measure {
    match kind {
        OptionKind::Milliseconds { .. } => Measure::Milliseconds,
        OptionKind::Microseconds { .. } => Measure::Microseconds,
        OptionKind::Integer { .. } => Measure::Count,
        _ => Measure::Bytes,
    }
}

#[test]
fn options_named_after_a_unit_read_that_unit() {
    for info in Options::table() {
        let is_time = matches!(info.unit, "milliseconds" | "microseconds");
        assert_eq!(info.name.ends_with("_ms"), info.unit == "milliseconds", "{}", info.name);
        assert_eq!(info.name.ends_with("_us"), info.unit == "microseconds", "{}", info.name);
        let measure = measure(info.kind);
        assert_eq!(is_time, matches!(measure, Measure::Milliseconds | Measure::Microseconds));
        let mut options = Options::default();
        match measure {
            Measure::Milliseconds => {
                options.set(info.name, "0.5min").unwrap();
                assert_eq!(options.get(info.name).as_deref(), Some("30000"));
            }
            Measure::Microseconds => {
                options.set(info.name, "2 ms").unwrap();
                assert_eq!(options.get(info.name).as_deref(), Some("2000"));
            }
            _ => {}
        }
    }
}

#[test]
fn options_sizes_are_read_with_binary_units_and_fractions() {
    let mut options = Options::default();
    options.set("memory_budget", "1.5G").unwrap();
    assert_eq!(options.memory_budget, 3 << 29);
    options.set("memory_budget", "64MiB").unwrap();
    assert_eq!(options.memory_budget, 64 << 20);
    assert!(refused("memory_budget", "64MB").contains("`MiB`"));
    assert!(refused("receive_size", "64.5").contains("whole number of bytes"));
    assert!(refused("slot_down_ms", "0.5ms").contains("whole number of milliseconds"));
    for name in ["receive_size", "lane_size"] {
        options.set(name, "auto").unwrap();
        assert_eq!(options.get(name).as_deref(), Some("0"));
    }
}

#[test]
fn options_have_unique_names_and_full_rows() {
    let mut names: Vec<_> = Options::table().iter().map(|info| info.name).collect();
    for info in Options::table() {
        for text in [info.why, info.effect, info.topic] {
            assert!(
                !text.is_empty() && !text.contains('|') && !text.contains('\n'),
                "{}",
                info.name
            );
        }
        assert!(
            info.why.ends_with('.') && info.effect.ends_with('.'),
            "{}: no sentence",
            info.name
        );
        assert!(limits(info.kind).is_none() || !info.unit.is_empty(), "{}: no unit", info.name);
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn options_reach_every_field() {
    // Debug prints each field of a struct once. Two of them are not options, but have some, and
    // some are said by the program itself, or by the machine.
    let others = ["port", "ports", "user_processes", "has_companion", "offer_sessions"];
    let (server, port) = (Options::default(), PortOptions::default());
    let fields = format!("{server:#?}\n{port:#?}");
    let fields: Vec<_> = fields
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(": "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with(' ') && !others.contains(name))
        .collect();
    for field in &fields {
        assert!(Options::default().get(field).is_some(), "{field} is not in the table");
    }
    assert_eq!(fields.len(), Options::table().len());
}

#[test]
fn options_defaults_are_the_tables_and_valid_values() {
    let options = Options::default();
    for info in Options::table() {
        let value = options.get(info.name).unwrap();
        if !BY_MACHINE.contains(&info.name) {
            assert_eq!(value, info.default, "{}", info.name);
        }
        let mut again = options.clone();
        again.set(info.name, &value).unwrap_or_else(|error| panic!("{error}"));
        // Who says where it listens names the first port.
        if info.name == "listen" {
            again.ports.clear();
        }
        assert_eq!(again, options, "{}", info.name);
    }
    options.validate().unwrap();
}

#[test]
fn options_defaults_start_on_the_largest_machine() {
    let mut options = Options::default();
    options.set("workers", "256").unwrap();
    options.set("reactors", "8").unwrap();
    options.validate().unwrap();
    assert_eq!(options.lane_size_resolved(), Options::LANE_SIZE_MIN);
}

#[test]
fn options_can_be_set_to_both_limits_and_read_back() {
    for info in Options::table() {
        let Some((min, max, show)) = limits(info.kind) else { continue };
        for value in [show(min), show(max)] {
            let mut options = Options::default();
            options.set(info.name, &value).unwrap_or_else(|error| panic!("{error}"));
            let found = options.get(info.name).unwrap();
            let measure = measure(info.kind);
            assert_eq!(measure.read(&found), measure.read(&value), "{}", info.name);
        }
    }
}

#[test]
fn options_outside_of_their_limits_name_the_nearest_valid_value() {
    for info in Options::table() {
        let Some((min, max, show)) = limits(info.kind) else { continue };
        let above =
            [(max + 1).to_string(), "99999999999999999999999".to_owned()].map(|v| (v, show(max)));
        let below = match min {
            0 => ("-1".to_owned(), show(0)),
            _ => ((min - 1).to_string(), show(min)),
        };
        for (value, nearest) in above.into_iter().chain([below]) {
            let text = refused(info.name, &value);
            assert!(text.contains(&format!("`{}` cannot be `{value}`", info.name)), "{text}");
            assert!(text.ends_with(&format!("nearest valid value is {nearest}")), "{text}");
        }
    }
}

#[test]
fn options_that_are_no_numbers_are_told_the_limits() {
    for info in Options::table() {
        let Some((min, max, show)) = limits(info.kind) else { continue };
        for value in ["", "many", "1.5.5", "0x10", "K", "-", "1 000", "10T", "+1"] {
            let text = refused(info.name, value);
            let limits = format!("it is {} to {}", show(min), show(max));
            assert!(text.ends_with(&limits), "{text}");
            assert!(text.contains(measure(info.kind).form()), "{text}");
        }
    }
}

#[test]
fn options_with_words_take_each_of_them_and_suggest_the_nearest() {
    for info in Options::table() {
        let OptionKind::Choice(words) = info.kind else { continue };
        for word in words {
            let mut options = Options::default();
            options.set(info.name, word).unwrap();
            assert_eq!(options.get(info.name).as_deref(), Some(*word));
        }
        assert!(refused(info.name, "nothing_like_it").contains(words[0]));
    }
    assert!(refused("dispatch", "session-hsah").ends_with("did you mean `session_hash`?"));
    assert!(refused("log_level", "warning").ends_with("did you mean `warn`?"));
}

#[test]
fn options_lane_size_is_a_power_of_two() {
    for (value, nearest) in [
        ("1", "64K"),
        ("96K", "128K"),
        ("90K", "64K"),
        ("17M", "16M"),
        ("1G", "16M"),
        ("-1", "64K"),
    ] {
        let text = refused("lane_size", value);
        assert!(text.ends_with(&format!("nearest valid value is {nearest}")), "{text}");
    }
    for value in ["0", "64K", "1M", "16M"] {
        let mut options = Options::default();
        options.set("lane_size", value).unwrap();
        assert_eq!(options.get("lane_size").as_deref(), Some(value));
    }
}

#[test]
fn options_switches_read_the_usual_words() {
    let mut options = Options::default();
    for (word, value) in [("off", false), ("Yes", true), ("0", false), ("true", true)] {
        options.set("sched_batch", word).unwrap();
        assert_eq!(options.sched_batch, value);
    }
    assert!(refused("sched_batch", "maybe").ends_with("it is `true` or `false`"));
}

#[test]
fn options_unknown_names_get_a_suggestion() {
    for (name, meant) in [
        ("worker", "workers"),
        ("reactor", "reactors"),
        ("log-level", "log_level"),
        ("Dispatch", "dispatch"),
        ("max_request", "max_requests"),
        ("drain_timeout", "drain_timeout_ms"),
        ("send_queue_hihg", "send_queue_high"),
    ] {
        assert_eq!(
            refused(name, "1"),
            format!("there is no option `{name}`: did you mean `{meant}`?")
        );
    }
    assert!(refused("colour_of_the_sky", "1").contains("OPTIONS.md"));
    assert!(refused(&"x".repeat(100_000), "1").len() < 500);
}

#[test]
fn options_errors_show_hostile_values_on_one_short_line() {
    let text = refused("workers", &format!("1\n\u{1b}[31m{}", "9".repeat(100_000)));
    assert!(!text.contains(['\n', '\u{1b}']) && text.len() < 500, "{text}");
    assert!(refused("log_file", "a\0b").contains("zero byte"));
}

#[test]
fn options_that_contradict_each_other_are_named() {
    let cases: &[Contradiction] = &[
        (&[("send_queue_low", "512K")], &["send_queue_low", "send_queue_high", "256K", "512K"]),
        (&[("send_queue_high", "2M")], &["send_queue_high", "send_queue_max", "1M", "2M"]),
        (&[("back_off_min_ms", "60000")], &["back_off_min_ms", "back_off_max_ms", "30000"]),
        (&[("memory_budget", "1M"), ("reactors", "8")], &["memory_budget", "reactors", "4M"]),
        (
            &[("memory_budget", "16M"), ("max_send_bytes", "17M")],
            &["max_send_bytes", "memory_budget"],
        ),
        (&[("memory_budget", "16M"), ("package_max_length", "17M")], &["package_max_length"]),
        (
            &[("memory_budget", "15M"), ("reactors", "2"), ("session_state_max_bytes", "1M")],
            &["session_state_max_bytes", "memory_budget", "raise it to 16M"],
        ),
        (
            &[("session_state_size", "2K"), ("session_state_max_bytes", "1K")],
            &["session_state_size", "session_state_max_bytes"],
        ),
        (
            &[("mode", "base"), ("limit_open_files", "100")],
            &["limit_open_files", "mode", "task:1024"],
        ),
        (&[("refusal", "answer:busy")], &["refusal", "framing", "bytes:"]),
        (&[("start_session_id", "7")], &["start_session_id", "(7)", "session_ids", "sequential"]),
        (
            &[("lane_memory", "1M"), ("workers", "16"), ("reactors", "1")],
            &["lane_memory", "64K", "2M"],
        ),
        (
            &[("connect_events", "off"), ("dispatch", "user_function")],
            &["connect_events", "dispatch"],
        ),
        (
            &[("connect_events", "off"), ("accept_confirm", "on")],
            &["connect_events", "accept_confirm"],
        ),
        (
            &[("sandbox", "master"), ("task_journal", "redis://cache"), ("task_workers", "1")],
            &["sandbox", "task_journal", "Redis", "connects"],
        ),
        (
            &[("lane_size", "16M"), ("workers", "64"), ("reactors", "8")],
            &["lane_size", "lane_memory", "16G"],
        ),
    ];
    for (pairs, words) in cases {
        let mut options = Options { reactors: 2, workers: 2, ..Options::default() };
        for (name, value) in *pairs {
            options.set(name, value).unwrap();
        }
        let error = options.validate().unwrap_err();
        assert!(error.is_option());
        for word in *words {
            assert!(error.to_string().contains(word), "{word} is not in: {error}");
        }
    }
}

#[test]
fn options_that_contradict_each_other_are_all_told() {
    let mut options = Options { reactors: 1, workers: 1, ..Options::default() };
    for (name, value) in [
        ("send_queue_low", "2M"),
        ("back_off_min_ms", "60s"),
        ("lane_size", "64K"),
        ("receive_size", "64K"),
    ] {
        options.set(name, value).unwrap();
    }
    let text = options.validate().unwrap_err().to_string();
    assert!(text.starts_with("3 options are wrong:\n"), "{text}");
    for words in
        ["`send_queue_low` (2M)", "`back_off_min_ms` (60000)", "`receive_size` (64K)", "16320"]
    {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
}

#[test]
fn options_documentation_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPTIONS.md");
    let wanted = Options::table_markdown();
    if std::env::var_os("OSTLER_BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/OPTIONS.md differs from the table: run with OSTLER_BLESS=1 to write it anew"
    );
}

fn any_name() -> impl Strategy<Value = String> {
    let names: Vec<_> = Options::table().iter().map(|info| info.name.to_owned()).collect();
    prop_oneof![4 => prop::sample::select(names), 1 => any::<String>()]
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+]?[0-9]{0,25}[.]?[0-9]{0,9} ?[KMGkmgT]?(iB|b|s|in)?",
        r"(\\[rnt0x\\]?[0-9a-f]{0,2}){0,9}",
        "(redeliver|close|drop)?:?[0-9]{0,4}",
        r"[\[\]a-z0-9.:]{0,20}:[0-9]{0,6}",
    ]
}

proptest! {
    #[test]
    fn options_never_panic_and_what_is_taken_can_be_read_back(
        pairs in prop::collection::vec((any_name(), any_value()), 0..8)
    ) {
        let mut options = Options::default();
        for (name, value) in pairs {
            let before = options.clone();
            match options.set(&name, &value) {
                Ok(()) => {
                    let spelled = options.get(&name).unwrap();
                    let mut again = before;
                    again.set(&name, &spelled).unwrap();
                    prop_assert_eq!(&again, &options);
                }
                Err(error) => {
                    prop_assert!(error.is_option());
                    prop_assert!(!error.to_string().contains('\n'));
                    prop_assert_eq!(&before, &options);
                }
            }
        }
        let valid = options.validate().is_ok();
        let lane = options.lane_size_resolved();
        prop_assert!(lane.is_power_of_two() && lane >= Options::LANE_SIZE_MIN);
        prop_assert!(!valid || lane * options.rings() <= options.lane_memory);
        let (size, receive_size) =
            (options.port.receive_size, options.receive_size_resolved(&options.port));
        prop_assert!(receive_size <= lane / 4 - 64);
        prop_assert!(!valid || size == 0 || size == receive_size);
        prop_assert!(!options.memory_plan().is_empty());
        let _ = options.max_requests_of(ostler_core::ids::ProcessKey::event(u16::MAX, 1));
    }
}
