//! Environment variables that are options: `OSTLER_WORKERS=4`.

use std::ffi::OsString;

use crate::options::{nearest, shown, table};

/// A variable that names an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its name, as it stands in the environment.
    pub(super) variable: String,
    /// The option.
    pub(super) name: String,
    pub(super) value: String,
}

/// Those variables that begin with `prefix` and name an option, and what is wrong with others.
///
/// A name that nearly is an option's is a mistake and told. Any other is somebody else's:
/// orchestrators put variables of their own beside ours (`OSTLER_SERVICE_HOST`), which must not
/// keep a server from starting.
pub(super) fn options(
    prefix: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> (Vec<Variable>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (variable, value) in variables {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(prefix) else { continue };
        let name = name.to_ascii_lowercase();
        // The name of an option of one port has two `_` before the option, because both names may
        // have single ones.
        let of_port = name.strip_prefix("port_").and_then(|rest| rest.split_once("__"));
        let of_port = of_port.map(|(port, option)| format!("port.{port}.{option}"));
        let is_of_port = of_port.is_some();
        let name = of_port.unwrap_or(name);
        if !is_of_port && table::find(&name).is_none() {
            if let Some(near) = nearest(&name) {
                let meant = near.to_ascii_uppercase();
                problems.push(format!(
                    "environment variable {}: there is no option `{}`: did you mean \
                     `{prefix}{meant}`?",
                    shown(variable),
                    shown(&name)
                ));
            }
            continue;
        }
        match value.into_string() {
            Ok(value) => found.push(Variable { variable: variable.to_owned(), name, value }),
            Err(_) => problems
                .push(format!("environment variable {}: its value is not UTF-8", shown(variable))),
        }
    }
    // The order of the environment means nothing.
    found.sort_by(|one, other| one.name.cmp(&other.name));
    (found, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<String>) {
        let variables = pairs.iter().map(|(name, value)| (name.into(), value.into()));
        let (found, problems) = options("OSTLER_", variables);
        (found.into_iter().map(|found| (found.name, found.value)).collect(), problems)
    }

    #[test]
    fn options_from_the_environment_are_those_with_the_prefix() {
        let (found, problems) = read(&[
            ("PATH", "/bin"),
            ("OSTLER_WORKERS", "4"),
            ("OSTLER_LOG_LEVEL", "debug"),
            ("WORKERS", "5"),
            ("OSTLER_PORT_MY_ADMIN__SEND_QUEUE_LOW", "64K"),
        ]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let of_port = pair("port.my_admin.send_queue_low", "64K");
        assert_eq!(found, [pair("log_level", "debug"), of_port, pair("workers", "4")]);
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn options_from_the_environment_that_are_nearly_right_are_told_and_strangers_are_not() {
        let (found, problems) = read(&[
            ("OSTLER_WORKER", "4"),
            ("OSTLER_SERVICE_HOST", "10.0.0.1"),
            ("OSTLER_PORT_9501_TCP_ADDR", "10.0.0.1"),
            ("OSTLER_FAULT", "T3:1"),
            ("OSTLER_TESTKIT_ID", "x"),
            ("OSTLER_", "x"),
        ]);
        assert_eq!(found, []);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].ends_with("did you mean `OSTLER_WORKERS`?"), "{problems:?}");
    }
}
