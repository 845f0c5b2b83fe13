//! Finding a delimiter.

/// The place of the first `needle` in `haystack`. An empty needle is found nowhere. At most
/// O(haystack * needle) steps, the needle being a few bytes.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let is_here = |place: &usize| haystack.get(*place..).is_some_and(|at| at.starts_with(needle));
    memchr::memchr_iter(first, haystack).find(is_here)
}

/// The place of the last `needle` in `haystack`. An empty needle is found nowhere.
pub(super) fn find_last(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let is_here = |place: &usize| haystack.get(*place..).is_some_and(|at| at.starts_with(needle));
    memchr::memchr_iter(first, haystack).rfind(is_here)
}

/// The place of the first such byte.
pub(super) fn find_byte(haystack: &[u8], wanted: u8) -> Option<usize> {
    memchr::memchr(wanted, haystack)
}
