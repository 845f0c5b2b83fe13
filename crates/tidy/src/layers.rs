//! Modules use only what lies below them.

use crate::Finding;
use crate::files::File;

/// Who must not use what, and why.
struct Layer {
    /// The beginning of the paths that the rule is for.
    files: &'static str,
    /// What must not be written there.
    forbidden: &'static [&'static str],
    reason: &'static str,
}

const LAYERS: [Layer; 8] = [
    Layer {
        files: "crates/core/",
        forbidden: &[
            "ostler_shm",
            "ostler::",
            "std::net::Tcp",
            "std::fs",
            "Instant::now",
            "rustix",
        ],
        reason: "core is pure: it knows no other crate, no system and no clock",
    },
    Layer {
        files: "crates/shm/",
        forbidden: &["ostler_core", "ostler::"],
        reason: "shm is what two processes see, and knows nobody",
    },
    Layer {
        files: "crates/testkit/",
        forbidden: &["ostler_core", "ostler_shm", "ostler::"],
        reason: "testkit knows programs from outside, not crates",
    },
    Layer {
        files: "crates/ostler/src/sys/",
        forbidden: &["ostler_core"],
        reason: "sys is a thin wall before the kernel, without rules of the engine",
    },
    Layer {
        files: "crates/ostler/src/api/",
        forbidden: &["worker::*::"],
        reason: "api uses what worker offers, not its inside",
    },
    Layer {
        files: "crates/ostler/src/master/",
        forbidden: &["crate::worker"],
        reason: "the master runs no user code",
    },
    Layer {
        files: "crates/ostler/src/worker/",
        forbidden: &["crate::manager"],
        reason: "a worker speaks to its manager by messages only (crate::control)",
    },
    Layer {
        files: "crates/ostler/src/reactor/",
        forbidden: &["crate::master"],
        reason: "a reactor is started by the master and knows its mailbox only",
    },
];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for layer in LAYERS.iter().filter(|layer| file.is_rust() && file.path.starts_with(layer.files))
    {
        for (line, text) in file.lines().filter(|(_, text)| !is_comment(text)) {
            if let Some(word) = layer.forbidden.iter().find(|word| uses(text, word)) {
                let text = format!("uses `{word}`: {}", layer.reason);
                findings.push(Finding { file: file.path.clone(), rule: "layer", line, text });
            }
        }
    }
    findings
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether a line uses a path; `*` stands for one module.
fn uses(line: &str, path: &str) -> bool {
    let Some((before, after)) = path.split_once('*') else {
        return begins_word(line, path).is_some();
    };
    begins_word(line, before).is_some_and(|rest| {
        let module = rest.trim_start_matches(|letter: char| letter.is_lowercase() || letter == '_');
        module.len() < rest.len() && module.starts_with(after)
    })
}

/// What follows the first place where the path stands and is not the end of a longer name.
fn begins_word<'a>(line: &'a str, path: &str) -> Option<&'a str> {
    line.match_indices(path).find_map(|(at, found)| {
        let before = line.get(..at)?.chars().next_back();
        let within = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        if within { None } else { line.get(at + found.len()..) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, line: &str) -> bool {
        !check(&File::new(path, line)).is_empty()
    }

    #[test]
    fn each_layer_is_kept() {
        assert!(found("crates/core/src/a.rs", "use ostler_shm::ring;"));
        assert!(found("crates/core/src/a.rs", "let now = Instant::now();"));
        assert!(found("crates/shm/src/a.rs", "use ostler_core::ids;"));
        assert!(found("crates/testkit/src/a.rs", "use ostler::Options;"));
        assert!(found("crates/ostler/src/sys/a.rs", "ostler_core::ids::Slot"));
        assert!(found("crates/ostler/src/api/a.rs", "use crate::worker::timers::Timer;"));
        assert!(found("crates/ostler/src/master/a.rs", "use crate::worker;"));
        assert!(found("crates/ostler/src/worker/a.rs", "use crate::manager::X;"));
        assert!(found("crates/ostler/src/reactor/a.rs", "crate::master::Mail"));
    }

    #[test]
    fn what_is_allowed_passes() {
        assert!(!found("crates/ostler/src/api/a.rs", "use crate::worker::Timer;"));
        assert!(!found("crates/ostler/src/api/a.rs", "use super::worker::Worker;"));
        assert!(!found("crates/ostler/src/master/a.rs", "// as crate::worker does"));
        assert!(!found("crates/core/src/a.rs", "use my_ostler::x;"));
        assert!(!found("crates/ostler/src/reactor/a.rs", "use crate::manager::X;"));
    }
}
