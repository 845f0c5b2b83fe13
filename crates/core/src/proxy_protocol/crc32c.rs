//! The checksum CRC-32C (Castagnoli), RFC 4960, appendix B.

/// The polynomial, with its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static TABLE: [u32; 256] = table();

#[allow(clippy::indexing_slicing)] // a constant: the compiler has been through it
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 0 { sum >> 1 } else { (sum >> 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

/// The checksum of these parts, one behind the other.
pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(u32::MAX, |sum, byte| {
        let entry = TABLE.get(usize::from(sum as u8 ^ *byte)).copied().unwrap_or_default();
        entry ^ (sum >> 8)
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(of([&b"123456789"[..]]), 0xe306_9283);
        assert_eq!(of([&b"1234"[..], b"", b"56789"]), 0xe306_9283);
        // RFC 3720, B.4.
        assert_eq!(of([&[0; 32][..]]), 0x8a91_36aa);
        assert_eq!(of([&[0xff; 32][..]]), 0x62a8_ab43);
    }
}
