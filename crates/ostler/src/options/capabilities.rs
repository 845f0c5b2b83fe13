//! What a process of root may keep: `none`, or names of capabilities between commas.

use super::info::Kind;
use super::list::Names;
use super::setting::{Problem, Setting};
use crate::sys::capabilities;

/// Which capabilities workers keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Capabilities {
    /// Nothing is said: those that their user has.
    #[default]
    OfUser,
    /// These and no others, as bits of the kernel's set.
    Only(u64),
}

/// The word for no capability at all.
const NONE: &str = "none";

impl Setting for Capabilities {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        let Names(names) = Names::parse(Kind::Names, text)?;
        match names.as_slice() {
            [] => return Ok(Self::OfUser),
            [only] if only == NONE => return Ok(Self::Only(0)),
            _ => {}
        }
        let mut bits = 0;
        for name in &names {
            bits |= capabilities::named(name).ok_or_else(|| {
                format!(
                    "there is no capability `{name}`: write `{NONE}`, or names as in \
                     `net_bind_service,net_raw` (capabilities(7) lists them)"
                )
            })?;
        }
        Ok(Self::Only(bits))
    }

    fn render(&self) -> String {
        match self {
            Self::OfUser => String::new(),
            Self::Only(0) => NONE.to_owned(),
            Self::Only(bits) => capabilities::names(*bits).join(","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_names_as_the_kernel_has_them() {
        for (text, rendered) in [
            ("", ""),
            ("none", "none"),
            ("net_bind_service", "net_bind_service"),
            ("CAP_NET_RAW, sys_nice", "net_raw,sys_nice"),
        ] {
            let found = Capabilities::parse(Kind::Names, text).unwrap();
            assert_eq!(found.render(), rendered);
            assert_eq!(Capabilities::parse(Kind::Names, rendered), Ok(found));
        }
        for wrong in ["everything", "none,kill", "cap_"] {
            let problem = Capabilities::parse(Kind::Names, wrong).unwrap_err();
            assert!(problem.contains("no capability"), "{problem}");
        }
    }
}
