//! Permissions of the file of a unix socket.

use super::info::Kind;
use super::setting::{Problem, Setting};

/// Permission bits, at most `0777`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnixMode(u32);

impl UnixMode {
    /// Only the user of the server can connect.
    pub(crate) const OWNER_ONLY: Self = Self(0o600);

    /// The bits, as `chmod(2)` takes them.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

impl Setting for UnixMode {
    /// With a `0` in front, because a number without one may have been meant as a decimal one (a
    /// TOML file makes `0o660` the number 432).
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        const FORM: &str = "write a 0 and three octal digits, in a file with quotes: `0660`";
        let digits = text.trim().strip_prefix('0').ok_or_else(|| FORM.to_owned())?;
        let octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if octal => Ok(Self(bits)),
            _ => Err(FORM.to_owned()),
        }
    }

    fn render(&self) -> String {
        format!("{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_unix_mode_is_octal_and_looks_like_it() {
        for good in ["0600", "0660", "0777", "0000"] {
            assert_eq!(UnixMode::parse(Kind::Permissions, good).unwrap().render(), good);
        }
        for bad in ["660", "432", "0o660", "01777", "0880", "0+77", "rw", ""] {
            let problem = UnixMode::parse(Kind::Permissions, bad).unwrap_err();
            assert!(problem.contains("`0660`"), "{bad}");
        }
    }
}
