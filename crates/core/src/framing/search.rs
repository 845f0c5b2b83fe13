//! Finding a delimiter.

/// Bytes compared at once. The loop over a block has no early exit, so that the compiler can use
/// vector instructions without unsafe code here.
const BLOCK: usize = 32;

/// The place of the first `needle` in `haystack`. An empty needle is found nowhere. At most
/// O(haystack * needle) steps, the needle being a few bytes.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let rest = haystack.get(from..)?;
        let place = find_byte(rest, first)?;
        if rest.get(place..).is_some_and(|tail| tail.starts_with(needle)) {
            return from.checked_add(place);
        }
        from = from.checked_add(place)?.checked_add(1)?;
    }
}

/// The place of the last `needle` in `haystack`. An empty needle is found nowhere.
pub(super) fn find_last(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack.windows(needle.len()).rposition(|window| window == needle)
}

/// The place of the first such byte.
pub(super) fn find_byte(haystack: &[u8], wanted: u8) -> Option<usize> {
    let mut from = 0;
    for block in haystack.chunks(BLOCK) {
        if block.iter().fold(false, |found, byte| found | (*byte == wanted)) {
            return block.iter().position(|byte| *byte == wanted).map(|place| from + place);
        }
        from += block.len();
    }
    None
}
