//! How the text of a value becomes a typed field and back.

use super::amount::{Amount, Measure};
use super::info::Kind;
use super::port_options::PortOptions;
use super::{Options, size};

/// What is wrong with a value, ready to stand behind "option x cannot be y: ".
pub(super) type Problem = String;

/// How a row of the table reaches its field in the options of type `T`.
#[derive(Debug)]
pub(super) struct FieldAccess<T> {
    pub(super) get: fn(&T) -> String,
    pub(super) set: fn(&mut T, Kind, &str) -> Result<(), Problem>,
}

// Derived, they would hold only for a `T` that can be copied.
impl<T> Copy for FieldAccess<T> {}
impl<T> Clone for FieldAccess<T> {
    fn clone(&self) -> Self {
        *self
    }
}

/// How a row of the table reaches its field, and so whether the server has one such option or each
/// of its ports.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    Server(FieldAccess<Options>),
    Port(FieldAccess<PortOptions>),
}

/// The [`FieldAccess`] of the field with this name.
macro_rules! field_access {
    ($field:ident) => {
        $crate::options::setting::FieldAccess {
            get: |options| $crate::options::setting::Setting::render(&options.$field),
            set: |options, kind, text| {
                options.$field = $crate::options::setting::Setting::parse(kind, text)?;
                Ok(())
            },
        }
    };
}
pub(super) use field_access;

/// The [`Access`] of the field with this name in [`Options`].
macro_rules! field {
    ($field:ident) => {
        $crate::options::setting::Access::Server($crate::options::setting::field_access!($field))
    };
}
pub(super) use field;

/// The [`Access`] of the field with this name in [`PortOptions`].
macro_rules! port_field {
    ($field:ident) => {
        $crate::options::setting::Access::Port($crate::options::setting::field_access!($field))
    };
}
pub(super) use port_field;

/// A type that an option can have.
pub(super) trait Setting: Sized {
    /// Reads a value and checks it against the limits of `kind`.
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem>;
    /// Spells the value so that `parse` reads it back.
    fn render(&self) -> String;
}

impl Setting for bool {
    fn parse(_: Kind, text: &str) -> Result<Self, Problem> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err("it is `true` or `false`".to_owned()),
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Setting for $integer {
            fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
                parse_number(kind, text)
            }

            fn render(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

integers!(u8 u16 u32 u64);

/// Every `usize` among the options counts bytes.
impl Setting for usize {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        parse_number(kind, text)
    }

    fn render(&self) -> String {
        size::render(*self as u64)
    }
}

/// A path; the only option that is free text.
impl Setting for String {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        match kind {
            Kind::Name { bytes_max } => super::name::parse(bytes_max, text),
            _ => parse_path(text),
        }
    }

    fn render(&self) -> String {
        self.clone()
    }
}

fn parse_path(text: &str) -> Result<String, Problem> {
    // PATH_MAX counts the terminating zero.
    const PATH_BYTES_MAX: usize = 4095;
    if text.contains('\0') {
        return Err("a path has no zero byte; leave it empty for standard error".to_owned());
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(format!("a path has at most {PATH_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

fn parse_number<T: TryFrom<u64>>(kind: Kind, text: &str) -> Result<T, Problem> {
    let number = match kind {
        Kind::Integer { min, max } => in_range(Measure::Count, text, min, max)?,
        Kind::Bytes { min, max } => in_range(Measure::Bytes, text, min, max)?,
        Kind::Milliseconds { min, max } => in_range(Measure::Milliseconds, text, min, max)?,
        Kind::Microseconds { min, max } => in_range(Measure::Microseconds, text, min, max)?,
        Kind::BytesOrAutomatic { min, max } => bytes_or_automatic(text, min, max)?,
        Kind::PowerOfTwo { min, max } => power_of_two(text, min, max)?,
        _ => {
            return Err(
                "the table gives this option no numbers; this is a bug in Ostler".to_owned()
            );
        }
    };
    T::try_from(number).map_err(|_| "the number does not fit this machine's word".to_owned())
}

pub(super) fn in_range(measure: Measure, text: &str, min: u64, max: u64) -> Result<u64, Problem> {
    let (least, most) = (measure.render(min), measure.render(max));
    let nearest = match measure.read(text) {
        Amount::Whole(number) if (min..=max).contains(&number) => return Ok(number),
        Amount::Whole(number) => number.clamp(min, max),
        Amount::Negative => min,
        Amount::Huge => max,
        other => {
            let what = no_amount(measure, other);
            return Err(format!("{what}; it is {least} to {most}"));
        }
    };
    let nearest = measure.render(nearest);
    Err(format!("it is {least} to {most}; the nearest valid value is {nearest}"))
}

/// Why a text is no amount, and what to write.
fn no_amount(measure: Measure, amount: Amount) -> String {
    match amount {
        Amount::Ambiguous(advice) => advice.to_owned(),
        Amount::Broken => format!("it is not a whole number of {}", measure.own_words()),
        _ => format!("write {}", measure.form()),
    }
}

/// Whether the text asks for the automatic value.
fn is_automatic(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("auto")
}

fn bytes_or_automatic(text: &str, min: u64, max: u64) -> Result<u64, Problem> {
    if is_automatic(text) || Measure::Bytes.read(text) == Amount::Whole(0) {
        return Ok(0);
    }
    in_range(Measure::Bytes, text, min, max)
        .map_err(|problem| format!("{problem}, or 0 for automatic"))
}

fn power_of_two(text: &str, min: u64, max: u64) -> Result<u64, Problem> {
    let number = match Measure::Bytes.read(text) {
        Amount::Whole(0) => return Ok(0),
        Amount::Whole(number) if number.is_power_of_two() && (min..=max).contains(&number) => {
            return Ok(number);
        }
        Amount::Whole(number) => number,
        Amount::Negative => 0,
        Amount::Huge => max,
        _ if is_automatic(text) => return Ok(0),
        other => {
            return Err(format!(
                "{}; it is 0 (automatic) or a power of two from {} to {}",
                no_amount(Measure::Bytes, other),
                size::render(min),
                size::render(max)
            ));
        }
    };
    let nearest = nearest_power_of_two(number.clamp(min, max)).clamp(min, max);
    Err(format!(
        "it is 0 (automatic) or a power of two from {} to {}; the nearest valid value is {}",
        size::render(min),
        size::render(max),
        size::render(nearest)
    ))
}

/// `number` is at least 1 and far below the largest `u64`.
fn nearest_power_of_two(number: u64) -> u64 {
    let above = number.next_power_of_two();
    let below = above / 2;
    if number - below < above - number { below } else { above }
}

/// A typed value as the text that [`Options::set`] reads.
pub(crate) trait Spell {
    /// The text.
    fn spell(&self) -> String;
}

macro_rules! spelled_by_render {
    ($($type:ty)*) => {$(
        impl Spell for $type {
            fn spell(&self) -> String {
                Setting::render(self)
            }
        }
    )*};
}

spelled_by_render!(super::SuccessionSessions);

spelled_by_render!(bool u8 u16 u32 u64 usize);
spelled_by_render!(super::AnswerOrder super::CrashPolicy super::Dispatch super::Harden);
spelled_by_render!(super::LogFormat super::LogLevel super::Mode super::SessionIds super::Start);
spelled_by_render!(super::Refusal super::ProxyProtocol super::GroupOverflow);
spelled_by_render!(super::TaskCrash super::JournalSync super::JournalDamage);
spelled_by_render!(super::TaskResultTo);
spelled_by_render!(super::KillOrphans super::Sandbox);
spelled_by_render!(super::ClientAuth super::TlsVersion super::UnknownName);

/// Exactly: what is finer than microseconds is spelled so that it is refused and not rounded.
impl Spell for std::time::Duration {
    fn spell(&self) -> String {
        let nanoseconds = self.as_nanos();
        match nanoseconds % 1_000 {
            0 => format!("{}us", nanoseconds / 1_000),
            rest => format!("{}.{rest:03}us", nanoseconds / 1_000),
        }
    }
}

/// Bytes with escapes, as a delimiter is spelled.
pub(crate) fn spell_bytes(bytes: &[u8]) -> String {
    bytes.to_vec().render()
}
