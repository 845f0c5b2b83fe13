//! Amounts: a number and perhaps a unit behind it, as in `64MiB`, `1.5G`, `500ms`, `10s`.

use super::size::{GIB, KIB, MIB};

/// What a text says as an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// So many of the option's own unit.
    Whole(u64),
    /// Below every limit.
    Negative,
    /// Above every limit.
    Huge,
    /// A number, but no whole one in the option's own unit: `1.5ms` of an option that counts
    /// milliseconds.
    Broken,
    /// A unit that is spelled in a way that has two meanings, and how to say what is meant.
    Ambiguous(&'static str),
    /// No number, or an unknown unit.
    Nonsense,
}

/// What an amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Things; they have no units.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

const COUNT: &[(&str, u64)] = &[("", 1)];
const BYTES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", KIB as u64),
    ("kib", KIB as u64),
    ("m", MIB as u64),
    ("mib", MIB as u64),
    ("g", GIB as u64),
    ("gib", GIB as u64),
];
/// In microseconds, so that both kinds of options read the same units.
const TIMES: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("min", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
];
const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;

impl Measure {
    /// The units that may stand behind a number, in lower case, and how much each is.
    const fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Count => COUNT,
            Self::Bytes => BYTES,
            Self::Milliseconds | Self::Microseconds => TIMES,
        }
    }

    /// The option's own unit, in which a number without a unit counts.
    const fn own(self) -> u64 {
        match self {
            Self::Milliseconds => MILLISECOND,
            Self::Count | Self::Bytes | Self::Microseconds => 1,
        }
    }

    /// Spells `amount` with the largest unit that divides it.
    pub(super) fn render(self, amount: u64) -> String {
        match self {
            Self::Count => amount.to_string(),
            Self::Bytes => super::size::render(amount),
            Self::Milliseconds | Self::Microseconds => {
                let amount = u128::from(amount) * u128::from(self.own());
                let divides = |unit: &&(&str, u64)| amount.is_multiple_of(u128::from(unit.1));
                // A day is rarely what people count in; 24h is.
                let units = TIMES.iter().rev().skip(1);
                match units.clone().find(divides) {
                    Some((name, unit)) if amount > 0 => {
                        format!("{}{name}", amount / u128::from(*unit))
                    }
                    _ => "0".to_owned(),
                }
            }
        }
    }

    /// What to write, for error texts.
    pub(super) const fn form(self) -> &'static str {
        match self {
            Self::Count => "a whole number",
            Self::Bytes => "a size such as `65536`, `64K`, `64MiB` or `1.5G`",
            Self::Milliseconds => {
                "a time such as `500ms`, `10s`, `1.5min` or `2h` (without a unit: milliseconds)"
            }
            Self::Microseconds => "a time such as `100us` or `2ms` (without a unit: microseconds)",
        }
    }

    /// The option's own unit in words.
    pub(super) const fn own_words(self) -> &'static str {
        match self {
            Self::Count => "things",
            Self::Bytes => "bytes",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
        }
    }

    /// Reads an amount in the option's own unit. Whatever it is given, it reads it exactly or says
    /// why it cannot.
    pub(super) fn read(self, text: &str) -> Amount {
        let (negative, text) = match text.trim().strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
        let Some(number) = Decimal::read(number) else { return Amount::Nonsense };
        let unit = unit.trim_start().to_ascii_lowercase();
        if self == Self::Bytes && matches!(unit.as_str(), "kb" | "mb" | "gb") {
            return Amount::Ambiguous(
                "a `B` behind the letter may mean 1000 or 1024: write `K`, `M`, `G` (or `KiB`, \
                 `MiB`, `GiB`) for 1024, \
                 1024² and 1024³",
            );
        }
        let factor = match self.units().iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => self.own(),
            None => return Amount::Nonsense,
        };
        if negative && !number.is_zero() {
            return Amount::Negative;
        }
        number.times(factor, self.own())
    }
}

/// A number with digits behind the point, exactly: `mantissa / 10^places`.
struct Decimal {
    /// `None` if it is too large for any option.
    mantissa: Option<u64>,
    places: u32,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let places = u32::try_from(fraction.len()).ok()?;
        let digits = format!("{whole}{fraction}");
        // Only digits are left: the one way to fail is a number too large.
        Some(Self { mantissa: digits.parse().ok(), places })
    }

    fn is_zero(&self) -> bool {
        self.mantissa == Some(0)
    }

    /// The number times `factor / own`, if that is whole.
    fn times(&self, factor: u64, own: u64) -> Amount {
        let Some(mantissa) = self.mantissa else {
            // Digits behind the point that no u64 holds are finer than any unit.
            return if self.places == 0 { Amount::Huge } else { Amount::Broken };
        };
        let total = u128::from(mantissa) * u128::from(factor);
        let Some(divisor) =
            10_u128.checked_pow(self.places).and_then(|ten| ten.checked_mul(own.into()))
        else {
            return Amount::Broken;
        };
        if !total.is_multiple_of(divisor) {
            return Amount::Broken;
        }
        u64::try_from(total / divisor).map_or(Amount::Huge, Amount::Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_sizes_with_every_unit() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("64K", 65_536),
            ("64 k", 65_536),
            ("64KiB", 65_536),
            ("64MiB", 64 << 20),
            ("1.5G", 3 << 29),
            ("0.5kib", 512),
            ("1.50", 0),
            ("17b", 17),
        ] {
            let wanted = if text == "1.50" { Amount::Broken } else { Amount::Whole(bytes) };
            assert_eq!(Measure::Bytes.read(text), wanted, "{text}");
        }
        assert!(matches!(Measure::Bytes.read("64MB"), Amount::Ambiguous(_)));
    }

    #[test]
    fn options_read_times_with_every_unit_and_bare_numbers_in_their_own() {
        for (text, ms) in [
            ("500", 500),
            ("500ms", 500),
            ("10s", 10_000),
            ("1.5min", 90_000),
            ("2H", 7_200_000),
            ("2000us", 2),
        ] {
            assert_eq!(Measure::Milliseconds.read(text), Amount::Whole(ms), "{text}");
        }
        assert_eq!(Measure::Milliseconds.read("1d"), Amount::Whole(86_400_000));
        assert_eq!(Measure::Microseconds.read("100"), Amount::Whole(100));
        assert_eq!(Measure::Microseconds.read("0.1ms"), Amount::Whole(100));
        assert_eq!(Measure::Milliseconds.read("0.1ms"), Amount::Broken);
        assert_eq!(Measure::Milliseconds.read("10m"), Amount::Nonsense, "minutes or milliseconds?");
    }

    #[test]
    fn options_refuse_what_is_no_amount() {
        for text in [
            "", "-", "K", "1 000", "0x10", "+1", "1.", ".5", "1..2", "1.2.3", "1e3", "10T", "ms",
            "١",
        ] {
            for measure in [Measure::Count, Measure::Bytes, Measure::Milliseconds] {
                assert_eq!(measure.read(text), Amount::Nonsense, "{text}");
            }
        }
        assert_eq!(Measure::Count.read("10s"), Amount::Nonsense);
        assert_eq!(Measure::Count.read("-5"), Amount::Negative);
        assert_eq!(Measure::Bytes.read("-0K"), Amount::Whole(0));
        assert_eq!(Measure::Bytes.read("99999999999999999999999"), Amount::Huge);
        assert_eq!(Measure::Bytes.read("18446744073709551615G"), Amount::Huge);
        assert_eq!(Measure::Bytes.read(&format!("0.{}1", "0".repeat(200))), Amount::Broken);
    }

    #[test]
    fn options_spell_times_with_the_largest_unit_that_divides() {
        for (ms, text) in [
            (0, "0"),
            (50, "50ms"),
            (1_000, "1s"),
            (1_500, "1500ms"),
            (60_000, "1min"),
            (86_400_000, "24h"),
        ] {
            assert_eq!(Measure::Milliseconds.render(ms), text);
        }
        assert_eq!(Measure::Microseconds.render(100_000), "100ms");
    }
}
