//! The message and the fields of an event, and how they are written: as text or as JSON, on one
//! line whatever they contain.

use std::fmt;

use tracing::field::{Field, Visit};

/// What an event says.
///
/// Text from clients gets into logs. Control characters (a newline would forge a line, an escape
/// would drive the terminal) are escaped, and a value with a space, a quote or `=` stands in
/// quotes, so that a line can be taken apart.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    list: Vec<(&'static str, Value)>,
}

enum Value {
    Text(String),
    /// A number or a truth value, which JSON has without quotes.
    Bare(String),
}

impl Fields {
    /// The message and the fields, each behind a space.
    pub(super) fn write_text(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if !self.message.is_empty() {
            out.write_char(' ')?;
            write_escaped(out, &self.message, false)?;
        }
        for (name, value) in &self.list {
            write!(out, " {name}=")?;
            match value {
                Value::Text(text) => write_value(out, text)?,
                Value::Bare(text) => out.write_str(text)?,
            }
        }
        Ok(())
    }

    /// The message and the fields as members of a JSON object, each behind a comma.
    pub(super) fn write_json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(",\"message\":")?;
        write_json_text(out, &self.message)?;
        for (name, value) in &self.list {
            write!(out, ",\"{name}\":")?;
            match value {
                Value::Text(text) => write_json_text(out, text)?,
                Value::Bare(text) => out.write_str(text)?,
            }
        }
        Ok(())
    }

    /// The same event without what makes it long; for a line that would not fit.
    pub(super) fn shortened(&self, bytes: usize) -> Self {
        const MESSAGE_CHARACTERS_MAX: usize = 300;
        let message = self.message.chars().take(MESSAGE_CHARACTERS_MAX).collect();
        Self { message, list: vec![("cut_bytes", Value::Bare(bytes.to_string()))] }
    }

    /// Adds a field that is not from the event.
    pub(super) fn push(&mut self, name: &'static str, value: &str) {
        self.list.push((name, Value::Text(value.to_owned())));
    }

    /// The message, of a record that is no event.
    pub(super) fn set_message(&mut self, message: &str) {
        self.message = message.to_owned();
    }

    /// Adds a number or a truth value.
    pub(super) fn push_bare(&mut self, name: &'static str, value: impl fmt::Display) {
        self.list.push((name, Value::Bare(value.to_string())));
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.list.push((field.name(), Value::Bare(value.to_string())));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.push(field.name(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }
}

fn write_value(out: &mut dyn fmt::Write, value: &str) -> fmt::Result {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(plain) {
        return out.write_str(value);
    }
    out.write_char('"')?;
    write_escaped(out, value, true)?;
    out.write_char('"')
}

pub(super) fn write_escaped(out: &mut dyn fmt::Write, text: &str, quoted: bool) -> fmt::Result {
    for c in text.chars() {
        match c {
            '"' | '\\' if quoted => write!(out, "\\{c}")?,
            // U+2028 and U+2029 are line ends to some readers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                write!(out, "{}", c.escape_default())?;
            }
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

pub(super) fn write_json_text(out: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            '\n' => out.write_str("\\n")?,
            // All control characters and both further line ends lie below 0x10000.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let mut fields = Fields::default();
        fields.push("key", text);
        let mut out = String::new();
        fields.write_text(&mut out).unwrap();
        out
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
        write_escaped(&mut message, "said \"hi\"\r\n\u{2028}", false).unwrap();
        assert_eq!(message, "said \"hi\"\\r\\n\\u{2028}");
    }

    #[test]
    fn log_json_escapes_what_json_demands() {
        let mut fields = Fields { message: "a \"b\"\n".to_owned(), list: Vec::new() };
        fields.push("peer", "\u{1b}\\\u{2028}ü");
        fields.list.push(("count", Value::Bare("3".to_owned())));
        let mut out = String::new();
        fields.write_json(&mut out).unwrap();
        let wanted = r#","message":"a \"b\"\n","peer":"\u001b\\\u2028ü","count":3"#;
        assert_eq!(out, wanted);
    }
}
