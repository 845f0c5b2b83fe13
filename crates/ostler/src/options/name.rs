//! The name of a server: for process titles and the log.

use super::setting::Problem;
use super::{Options, program_name};

/// Longest name: it stands in titles and lines beside other things.
pub(super) const NAME_BYTES_MAX: usize = 32;

/// Characters that mean nothing to `pkill -f` (a `.` hardly) and that no log has to quote.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

pub(super) fn parse(bytes_max: usize, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.len() > bytes_max {
        return Err(format!("a name has at most {bytes_max} characters"));
    }
    if !text.chars().all(is_plain) {
        return Err("a name has letters, digits, `.`, `_` and `-`, for example `chat-2`".to_owned());
    }
    Ok(text.to_owned())
}

impl Options {
    /// `name`, or what can be used of the name of the program's file.
    pub(crate) fn name_resolved(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        program_name().chars().filter(|c| is_plain(*c)).take(NAME_BYTES_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_is_one_plain_word() {
        for good in ["", "chat", "chat-2.eu_west", &"x".repeat(32)] {
            assert_eq!(parse(32, good).as_deref(), Ok(good));
        }
        for bad in ["two words", "a(b)", "a\nb", "é", &"x".repeat(33)] {
            assert!(parse(32, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_name_is_the_programs_by_default() {
        let mut options = Options::default();
        assert!(options.name_resolved().starts_with("ostler"), "{}", options.name_resolved());
        options.set("name", "chat").unwrap();
        assert_eq!(options.name_resolved(), "chat");
    }
}
