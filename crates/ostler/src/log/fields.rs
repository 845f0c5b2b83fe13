//! The message and the fields of an event, on one line whatever they contain.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};

/// Writes fields as ` key=value` behind the message.
///
/// Text from clients gets into logs. Control characters (a newline would forge a line, an escape
/// would drive the terminal) are escaped, and a value with a space, a quote or `=` stands in
/// quotes, so that a line can be taken apart.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    /// The message and the fields, each behind a space.
    pub(super) fn write_to(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if !self.message.is_empty() {
            write!(out, " {}", self.message)?;
        }
        out.write_str(&self.rest)
    }

    /// Adds a field that is not from the event.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        // Writing into a String cannot fail.
        let _ = write!(self.rest, " {name}=");
        push_value(&mut self.rest, value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            push_escaped(&mut self.message, value, false);
        } else {
            self.push(field.name(), value);
        }
    }
}

fn push_value(out: &mut String, value: &str) {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(plain) {
        out.push_str(value);
        return;
    }
    out.push('"');
    push_escaped(out, value, true);
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str, quoted: bool) {
    for c in text.chars() {
        match c {
            '"' | '\\' if quoted => out.extend(['\\', c]),
            // U+2028 and U+2029 are line ends to some readers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.extend(c.escape_default())
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let mut fields = Fields::default();
        fields.push("key", text);
        fields.rest
    }

    #[test]
    fn log_values_are_quoted_only_when_needed() {
        assert_eq!(value("127.0.0.1:80"), " key=127.0.0.1:80");
        assert_eq!(value("two words"), r#" key="two words""#);
        assert_eq!(value(""), r#" key="""#);
        assert_eq!(value("a=b"), r#" key="a=b""#);
        assert_eq!(value("grün"), " key=grün");
    }

    #[test]
    fn log_text_cannot_forge_a_line_or_drive_a_terminal() {
        assert_eq!(value("a\nb\u{1b}[1m\"\\"), r#" key="a\nb\u{1b}[1m\"\\""#);
        let mut message = String::new();
        push_escaped(&mut message, "said \"hi\"\r\n\u{2028}", false);
        assert_eq!(message, "said \"hi\"\\r\\n\\u{2028}");
    }
}
