//! How the text of a value becomes a typed field and back.

use super::info::Kind;
use super::{Options, size};

/// What is wrong with a value, ready to stand behind "option x cannot be y: ".
pub(super) type Problem = String;

/// How a row of the table reaches its field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) get: fn(&Options) -> String,
    pub(super) set: fn(&mut Options, Kind, &str) -> Result<(), Problem>,
}

/// The [`Access`] of the field with this name.
macro_rules! field {
    ($field:ident) => {
        $crate::options::setting::Access {
            get: |options| $crate::options::setting::Setting::render(&options.$field),
            set: |options, kind, text| {
                options.$field = $crate::options::setting::Setting::parse(kind, text)?;
                Ok(())
            },
        }
    };
}
pub(super) use field;

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
            Kind::Address => super::address::parse(text),
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
        Kind::Integer { min, max } => in_range(read(text.trim(), 1), min, max, |n| n.to_string())?,
        Kind::Bytes { min, max } => {
            let (digits, unit) = size::split_unit(text.trim());
            in_range(read(digits, unit), min, max, size::render)?
        }
        Kind::PowerOfTwo { min, max } => power_of_two(text.trim(), min, max)?,
        _ => {
            return Err(
                "the table gives this option no numbers; this is a bug in Ostler".to_owned()
            );
        }
    };
    T::try_from(number).map_err(|_| "the number does not fit this machine's word".to_owned())
}

/// What a text says as a number.
enum Read {
    Number(u64),
    /// Below every limit.
    Negative,
    /// Above every limit.
    Huge,
    NoNumber,
}

fn read(digits: &str, unit: u64) -> Read {
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Read::NoNumber;
    }
    if negative && digits.bytes().any(|digit| digit != b'0') {
        return Read::Negative;
    }
    // Only digits are left: the one way to fail is a number too large.
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(number) => Read::Number(number),
        None => Read::Huge,
    }
}

fn in_range(read: Read, min: u64, max: u64, show: fn(u64) -> String) -> Result<u64, Problem> {
    let nearest = match read {
        Read::Number(number) if (min..=max).contains(&number) => return Ok(number),
        Read::Number(number) => number.clamp(min, max),
        Read::Negative => min,
        Read::Huge => max,
        Read::NoNumber => {
            return Err(format!("it is a whole number from {} to {}", show(min), show(max)));
        }
    };
    let (min, max, nearest) = (show(min), show(max), show(nearest));
    Err(format!("it is {min} to {max}; the nearest valid value is {nearest}"))
}

fn power_of_two(text: &str, min: u64, max: u64) -> Result<u64, Problem> {
    let (digits, unit) = size::split_unit(text);
    let number = match read(digits, unit) {
        Read::Number(0) => return Ok(0),
        Read::Number(number) if number.is_power_of_two() && (min..=max).contains(&number) => {
            return Ok(number);
        }
        Read::Number(number) => number,
        Read::Negative => 0,
        Read::Huge => max,
        Read::NoNumber => {
            return Err(format!(
                "it is 0 or a power of two from {} to {}",
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
