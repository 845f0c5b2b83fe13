//! Options that are several texts, between commas.

use super::info::Kind;
use super::setting::{Problem, Setting};

/// Paths, in their order. A path with a comma cannot be among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths(pub(crate) Vec<String>);

/// Names of protocols as ALPN has them, the best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protocols(pub(crate) Vec<String>);

/// Names of groups, or their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

/// Most entries of a list: more certificates than a server of many names has on one port.
const ENTRIES_MAX: usize = 256;
/// Most bytes of a path, as the kernel says.
const PATH_BYTES_MAX: usize = 4_095;
/// Most bytes of the name of a group: eight times what `useradd` allows.
const GROUP_BYTES_MAX: usize = 255;
/// Most bytes of the name of a protocol, as ALPN says.
const PROTOCOL_BYTES_MAX: usize = 255;

fn parse(text: &str, what: &str, bytes_max: usize) -> Result<Vec<String>, Problem> {
    let entries: Vec<String> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect();
    if entries.len() > ENTRIES_MAX {
        return Err(format!("it has at most {ENTRIES_MAX} {what}s"));
    }
    match entries.iter().find(|entry| entry.contains('\0') || entry.len() > bytes_max) {
        Some(_) => Err(format!("a {what} has at most {bytes_max} bytes, and no zero byte")),
        None => Ok(entries),
    }
}

impl Setting for Paths {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        parse(text, "path", PATH_BYTES_MAX).map(Self)
    }

    fn render(&self) -> String {
        self.0.join(",")
    }
}

impl Setting for Protocols {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        parse(text, "protocol", PROTOCOL_BYTES_MAX).map(Self)
    }

    fn render(&self) -> String {
        self.0.join(",")
    }
}

impl Setting for Names {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        parse(text, "name", GROUP_BYTES_MAX).map(Self)
    }

    fn render(&self) -> String {
        self.0.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_back_as_it_is_spelled() {
        let paths = Paths::parse(Kind::Paths, " a.pem, b c.pem ,,").unwrap();
        assert_eq!(paths.0, ["a.pem", "b c.pem"]);
        assert_eq!(Paths::parse(Kind::Paths, &paths.render()), Ok(paths));
        assert_eq!(Paths::parse(Kind::Paths, ""), Ok(Paths::default()));
    }

    #[test]
    fn what_no_list_can_have_is_refused() {
        let long = "x".repeat(PATH_BYTES_MAX + 1);
        assert!(Paths::parse(Kind::Paths, &long).unwrap_err().contains("4095"));
        assert!(Paths::parse(Kind::Paths, "a\0b").unwrap_err().contains("zero"));
        let many = "x,".repeat(ENTRIES_MAX + 1);
        assert!(Paths::parse(Kind::Paths, &many).unwrap_err().contains("256 paths"));
        let name = "x".repeat(PROTOCOL_BYTES_MAX + 1);
        assert!(Protocols::parse(Kind::Protocols, &name).unwrap_err().contains("255"));
    }
}
