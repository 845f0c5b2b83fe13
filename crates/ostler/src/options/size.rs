//! Byte sizes, as they are spelled: `65536`, `64K`, `2M`, `1G`.

/// 1024 bytes.
pub(crate) const KIB: usize = 1024;
/// 1024 KiB.
pub(crate) const MIB: usize = 1024 * KIB;
/// 1024 MiB.
pub(crate) const GIB: usize = 1024 * MIB;

const UNITS: [(char, usize); 3] = [('G', GIB), ('M', MIB), ('K', KIB)];

/// Spells `bytes` with the largest unit that divides it.
pub(super) fn render(bytes: u64) -> String {
    for (suffix, unit) in UNITS {
        let unit = unit as u64;
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{suffix}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Spells `bytes` for people, with one digit behind the point.
pub(super) fn about(bytes: u64) -> String {
    for (suffix, unit) in UNITS {
        let unit = unit as u64;
        if bytes >= unit {
            let tenths = bytes.saturating_mul(10) / unit;
            return match tenths % 10 {
                0 => format!("{} {suffix}iB", tenths / 10),
                tenth => format!("{}.{tenth} {suffix}iB", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_sizes_are_spelled_with_the_largest_unit_that_divides() {
        assert_eq!(render(0), "0");
        assert_eq!(render(1023), "1023");
        assert_eq!(render(1024), "1K");
        assert_eq!(render(1536), "1536");
        assert_eq!(render(3 * MIB as u64), "3M");
        assert_eq!(render(2048 * MIB as u64), "2G");
    }

    #[test]
    fn options_sizes_for_people_have_one_digit_behind_the_point() {
        assert_eq!(about(17), "17 B");
        assert_eq!(about(1536), "1.5 KiB");
        assert_eq!(about(256 * MIB as u64), "256 MiB");
    }
}
