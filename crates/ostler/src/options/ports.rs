//! The ports of a server: what each is called, and which options it has for itself.
//!
//! An option of a port that is set for the server is that of every port that does not say it
//! itself: what is said for one port counts more than what is said for all, whoever says it.
//! `listen` is the exception: no two ports have it in common, and the one that is set for the
//! server is that of the port `main`.

use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;

use super::setting::{Access, FieldAccess};
use super::{Options, PortOptions, nearest_of, shown, table};
use crate::options::info::OptionInfo;

/// The name of the port that a server has when none is named, and of the one that `listen` of the
/// server means.
pub(crate) const FIRST_PORT: &str = "main";

/// What the name of an option begins with when it is that of one port: `port.NAME.OPTION`.
pub(super) const PREFIX: &str = "port.";

/// Longest name of a port: it stands in lines and titles beside other things.
const NAME_BYTES_MAX: usize = 32;
/// Most ports of a server: each takes a descriptor and is looked at at start, and far fewer are
/// needed.
const PORTS_MAX: usize = 1_024;

/// A port that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPort {
    name: String,
    /// The options that were set for this port, and not for all of them.
    own: Vec<&'static str>,
    options: PortOptions,
}

/// A port on which the server is to listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortPlan<'a> {
    pub(crate) id: PortId,
    pub(crate) name: &'a str,
    pub(crate) options: &'a PortOptions,
    /// The options that are its own, and not those of the server.
    pub(super) own: &'a [&'static str],
}

impl PortPlan<'_> {
    /// Whether this port says the option itself. Where it listens always is its own.
    pub(super) fn has_own(&self, option: &str) -> bool {
        option == LISTEN || self.own.contains(&option)
    }
}

/// An option of one port: `port.NAME.OPTION`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortOption<'a> {
    pub(super) port: &'a str,
    pub(super) info: &'static OptionInfo,
    field: FieldAccess<PortOptions>,
}

impl<'a> PortOption<'a> {
    /// Reads the name of an option behind [`PREFIX`]; the error says what is wrong with it.
    pub(super) fn parse(rest: &'a str) -> Result<Self, String> {
        let Some((port, option)) = rest.split_once('.') else {
            return Err(format!(
                "`port.{}` is no option: write `port.NAME.OPTION`, for example \
                 `port.admin.framing`",
                shown(rest)
            ));
        };
        check_name(port)?;
        let Some(info) = table::find(option) else {
            let known = table::rows().iter().filter(|info| info.is_of_port());
            let known = known.map(|info| info.name);
            let option = option.trim().to_ascii_lowercase().replace(['-', ' '], "_");
            let advice = match nearest_of(&option, known) {
                Some(near) => format!("did you mean `port.{port}.{near}`?"),
                None => "docs/OPTIONS.md lists what a port has".to_owned(),
            };
            return Err(format!("a port has no option `{}`: {advice}", shown(&option)));
        };
        match info.access {
            Access::Port(field) => Ok(Self { port, info, field }),
            Access::Server(_) => Err(format!(
                "`{option}` is an option of the whole server, not of the port `{port}`: set \
                 `{option}` itself"
            )),
        }
    }
}

/// A name is one plain word that is the same in a file, in the environment and on the command line.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(letters)
        && !name.contains("__");
    if good {
        return Ok(());
    }
    Err(format!(
        "a port cannot be called `{}`: its name is 1 to {NAME_BYTES_MAX} small letters, digits and \
         single `_`, and begins with a letter",
        shown(name)
    ))
}

impl Options {
    /// The framing of a port in words, by which two masters know whether theirs is the same.
    pub(crate) fn framing_text(&self, port: &PortOptions) -> String {
        format!("{:?}", self.framing_config(port))
    }

    /// The ports on which the server is to listen.
    pub(crate) fn ports(&self) -> PerPort<PortPlan<'_>> {
        let mut plans = (0..).zip(&self.ports).map(|(number, port)| PortPlan {
            id: PortId(number),
            name: &port.name,
            options: &port.options,
            own: &port.own,
        });
        let implied =
            PortPlan { id: PortId::FIRST, name: FIRST_PORT, options: &self.port, own: &[] };
        let first = plans.next().unwrap_or(implied);
        PerPort::new(first, plans.collect())
    }

    /// Every option with its value, and then those that ports have for themselves, so that
    /// [`Options::set`] in this order makes the same options.
    pub(crate) fn spelled(&self) -> Vec<(String, String)> {
        let of_server = table::rows().iter().map(|info| info.name.to_owned());
        let names = of_server.filter(|name| name != LISTEN).chain(
            self.ports()
                .iter()
                .flat_map(|port| {
                    let own = port.own.iter().copied().filter(|option| *option != LISTEN);
                    let all = std::iter::once(LISTEN).chain(own);
                    all.map(|option| format!("{PREFIX}{}.{option}", port.name)).collect::<Vec<_>>()
                })
                .collect::<Vec<_>>(),
        );
        names.filter_map(|name| self.get(&name).map(|value| (name, value))).collect()
    }

    /// Whether there is more to say of ports than where the only one listens.
    pub(super) fn has_named_ports(&self) -> bool {
        self.ports.iter().any(|port| port.name != FIRST_PORT || port.own != [LISTEN])
    }

    /// Gives an option of one port the value that `value` spells. A port that is not there yet
    /// begins here.
    pub(super) fn set_of_port(
        &mut self,
        option: PortOption<'_>,
        value: &str,
    ) -> Result<(), String> {
        let PortOption { port, info, field } = option;
        let place = self.ports.iter().position(|named| named.name == port);
        let mut options = match place.and_then(|place| self.ports.get(place)) {
            Some(named) => named.options.clone(),
            None if self.ports.len() >= PORTS_MAX => {
                return Err(format!("a server has at most {PORTS_MAX} ports"));
            }
            None => self.port.clone(),
        };
        (field.set)(&mut options, info.kind, value)?;
        match place.and_then(|place| self.ports.get_mut(place)) {
            Some(named) => {
                named.options = options;
                if !named.own.contains(&info.name) {
                    named.own.push(info.name);
                }
            }
            None => {
                let named = NamedPort { name: port.to_owned(), own: vec![info.name], options };
                // Whoever knows of no other port finds its own as the first.
                let at = if port == FIRST_PORT { 0 } else { self.ports.len() };
                self.ports.insert(at, named);
            }
        }
        Ok(())
    }

    /// Gives an option the value that `value` spells for every port that does not say it itself.
    pub(super) fn set_of_ports(
        &mut self,
        info: &'static OptionInfo,
        field: FieldAccess<PortOptions>,
        value: &str,
    ) -> Result<(), String> {
        if info.name == LISTEN {
            (field.set)(&mut self.port.clone(), info.kind, value)?;
            return self.set_of_port(PortOption { port: FIRST_PORT, info, field }, value);
        }
        (field.set)(&mut self.port, info.kind, value)?;
        for named in &mut self.ports {
            if !named.own.contains(&info.name) {
                (field.set)(&mut named.options, info.kind, value)?;
            }
        }
        Ok(())
    }

    /// The options of a port, by its name.
    pub(super) fn port_options(&self, name: &str) -> Option<&PortOptions> {
        let named = self.ports.iter().find(|named| named.name == name);
        let implied = (self.ports.is_empty() && name == FIRST_PORT).then_some(&self.port);
        named.map(|named| &named.options).or(implied)
    }

    /// An option of one port.
    pub(super) fn get_of_port(&self, option: PortOption<'_>) -> Option<String> {
        self.port_options(option.port).map(option.field.get)
    }
}

/// The option that no two ports have in common.
pub(super) const LISTEN: &str = "listen";

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (name, value) in pairs {
            options.set(name, value).unwrap();
        }
        options
    }

    fn listeners(options: &Options) -> Vec<(String, String)> {
        let ports = options.ports();
        let described = ports.iter().map(|plan| (plan.name, plan.options.listen.to_string()));
        described.map(|(name, url)| (name.to_owned(), url)).collect()
    }

    fn pair(name: &str, url: &str) -> (String, String) {
        (name.to_owned(), url.to_owned())
    }

    #[test]
    fn ports_of_a_server_are_those_that_were_named_and_the_first_if_none_was() {
        let main = [pair("main", "tcp://127.0.0.1:9501")];
        assert_eq!(listeners(&options(&[])), main);
        let admin = ("port.admin.listen", "127.0.0.1:9502");
        let admin_port = || pair("admin", "tcp://127.0.0.1:9502");
        assert_eq!(listeners(&options(&[admin])), [admin_port()], "who names one names all");
        let both = options(&[admin, ("listen", "tcp://127.0.0.1:1")]);
        assert_eq!(listeners(&both), [pair("main", "tcp://127.0.0.1:1"), admin_port()]);
        assert_eq!(both.get("listen").as_deref(), Some("tcp://127.0.0.1:1"));
        assert_eq!(both.get("port.main.listen").as_deref(), Some("tcp://127.0.0.1:1"));
        let main_by_name = options(&[("port.main.framing", "line")]);
        assert_eq!(listeners(&main_by_name), main);
    }

    #[test]
    fn ports_have_the_options_of_the_server_unless_they_say_them_themselves() {
        let options = options(&[
            ("port.a.framing", "line"),
            ("framing", "raw"),
            ("port.b.listen", "h:1"),
            ("send_queue_max", "8M"),
            ("port.b.send_queue_max", "4M"),
            ("send_queue_max", "16M"),
        ]);
        let get = |name: &str| options.get(name).unwrap();
        assert_eq!([get("port.a.framing"), get("port.b.framing")], ["line", "raw"]);
        assert_eq!([get("port.a.send_queue_max"), get("port.b.send_queue_max")], ["16M", "4M"]);
        assert_eq!(options.get("port.c.framing"), None);
    }

    #[test]
    fn ports_are_told_what_is_wrong_with_their_options() {
        let mut options = Options::default();
        let before = options.clone();
        for (name, value, words) in [
            ("port.a.framng", "line", "did you mean `port.a.framing`?"),
            ("port.a.nothing_like_it", "line", "docs/OPTIONS.md"),
            ("port.a.workers", "2", "an option of the whole server, not of the port `a`"),
            ("port.a.framing", "lines", "option `port.a.framing` cannot be `lines`"),
            ("port.a", "line", "write `port.NAME.OPTION`"),
            ("port.Big.framing", "line", "a port cannot be called `Big`"),
            ("port.a__b.framing", "line", "single `_`"),
            ("port.a.listen", "unixgram://h", "absolute path"),
        ] {
            let text = options.set(name, value).unwrap_err().to_string();
            assert!(text.contains(words), "{name}: {text}");
            assert_eq!(options, before, "a refused value changes nothing");
        }
    }

    #[test]
    fn ports_that_contradict_themselves_or_each_other_are_told_by_name() {
        let wrong = options(&[
            ("port.a.listen", "h:1"),
            ("port.a.send_queue_low", "8M"),
            ("port.b.listen", "tcp://h:1"),
        ]);
        let text = wrong.validate().unwrap_err().to_string();
        for words in [
            "port `a`: `send_queue_low` (8M) must not be above",
            "ports `a` and `b` listen at the same place, tcp://h:1",
        ] {
            assert!(text.contains(words), "{words} is not in: {text}");
        }
        let unsaid = options(&[("port.a.framing", "line")]);
        let text = unsaid.validate().unwrap_err().to_string();
        assert!(text.contains("the port `a` has no `listen`"), "{text}");
    }

    #[test]
    fn options_are_the_same_when_they_are_set_as_they_are_spelled() {
        for pairs in [
            &[][..],
            &[("listen", "tcp://127.0.0.1:1"), ("workers", "3"), ("package_eof", r"\0\xff")],
            &[("port.b.listen", "h:2"), ("framing", "line"), ("port.b.framing", "raw")],
            &[("port.a.listen", "h:1"), ("port.main.listen", "h:2"), ("port.a.tcp_nodelay", "off")],
        ] {
            let before = options(pairs);
            let mut after = Options::default();
            for (name, value) in before.spelled() {
                after.set(&name, &value).unwrap();
            }
            assert_eq!(listeners(&after), listeners(&before));
            assert_eq!(after.spelled(), before.spelled());
        }
    }

    #[test]
    fn ports_are_limited_in_number() {
        let mut options = Options::default();
        for number in 0..PORTS_MAX {
            options.set(&format!("port.p{number}.listen"), "h:0").unwrap();
        }
        let text = options.set("port.one_more.listen", "h:0").unwrap_err().to_string();
        assert!(text.contains("at most 1024 ports"), "{text}");
        options.set("port.p7.framing", "line").unwrap();
    }
}
