//! What becomes of packages that a dying worker had started.

use ostler_core::policy::CrashPolicy;

use super::choices::none_of;
use super::info::Kind;
use super::setting::{Problem, Setting};

const WORDS: &[&str] = &["close", "drop", "redeliver:N"];
const PREFIX: &str = "redeliver:";

impl Setting for CrashPolicy {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        let Kind::CrashPolicy { attempts_max } = kind else {
            return Err(
                "the table gives this option no crash policy; this is a bug in Ostler".to_owned()
            );
        };
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "close" => return Ok(Self::Close),
            "drop" => return Ok(Self::Drop),
            "redeliver" => return Err("say how often, for example `redeliver:3`".to_owned()),
            _ => {}
        }
        match text.strip_prefix(PREFIX) {
            Some(count) => u8::parse(Kind::Integer { min: 1, max: attempts_max }, count)
                .map(Self::Redeliver)
                .map_err(|problem| format!("of the number behind `{PREFIX}`, {problem}")),
            None => Err(none_of(WORDS, &text)),
        }
    }

    fn render(&self) -> String {
        match self {
            Self::Close => "close".to_owned(),
            Self::Drop => "drop".to_owned(),
            Self::Redeliver(attempts) => format!("{PREFIX}{attempts}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind::CrashPolicy { attempts_max: 100 };

    #[test]
    fn options_crash_policy_reads_its_three_forms() {
        assert_eq!(CrashPolicy::parse(KIND, "close"), Ok(CrashPolicy::Close));
        assert_eq!(CrashPolicy::parse(KIND, " Drop "), Ok(CrashPolicy::Drop));
        assert_eq!(CrashPolicy::parse(KIND, "redeliver:3"), Ok(CrashPolicy::Redeliver(3)));
        assert_eq!(CrashPolicy::Redeliver(3).render(), "redeliver:3");
    }

    #[test]
    fn options_crash_policy_names_the_nearest_count() {
        for (text, nearest) in
            [("redeliver:0", "1"), ("redeliver:101", "100"), ("redeliver:-1", "1")]
        {
            let problem = CrashPolicy::parse(KIND, text).unwrap_err();
            assert!(problem.ends_with(&format!("nearest valid value is {nearest}")), "{problem}");
        }
        assert!(CrashPolicy::parse(KIND, "redeliver").unwrap_err().contains("redeliver:3"));
        assert!(CrashPolicy::parse(KIND, "clsoe").unwrap_err().contains("did you mean `close`"));
    }
}
