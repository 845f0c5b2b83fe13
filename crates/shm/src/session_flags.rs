//! The word of flags in an entry of the session table: how a session stands, what workers have
//! marked it with, to which number it is bound and why it closes.

/// Flag: the session's unsent output is above its high mark, or the memory budget is tight: `send`
/// answers full.
pub const FULL: u64 = 1;
/// Flag: the session has unsent output: under memory pressure `send` answers full.
pub const QUEUED: u64 = 4;
/// Flag: the session is closing: `send` answers gone.
pub const CLOSING: u64 = 2;

/// Flag: the session is not read, because a worker said so.
pub const PAUSED: u64 = 8;
/// Flag: the session is not ended for being idle, because a worker said so.
pub const PROTECTED: u64 = 16;
/// The flags that workers set and take away; the session keeps them, whoever set them.
pub const MARKS: u64 = PAUSED | PROTECTED;

/// Flag: a worker has bound the session to the number in the high half of the flags.
pub const BOUND: u64 = 32;
const USER_SHIFT: u32 = 32;
/// Flags: whether the session is bound to a number, and to which.
pub const BINDING: u64 = BOUND | (u32::MAX as u64) << USER_SHIFT;

/// Flags of a session that is bound to this number.
#[must_use]
pub const fn bound_to(user: u32) -> u64 {
    BOUND | (user as u64) << USER_SHIFT
}

/// The number to which a session is bound.
#[must_use]
pub const fn user_of(flags: u64) -> Option<u32> {
    if flags & BOUND == 0 { None } else { Some((flags >> USER_SHIFT) as u32) }
}

/// Flags: why the session is closing, a number plus one; 0 while it is not.
pub const REASON_MASK: u64 = 0xff << REASON_SHIFT;
const REASON_SHIFT: u32 = 8;

/// Flags of a session that is closing for the reason with this number.
#[must_use]
pub const fn closing_because(reason: u8) -> u64 {
    CLOSING | (reason as u64 + 1) << REASON_SHIFT & REASON_MASK
}

/// The number of the reason for which a session is closing.
#[must_use]
pub const fn closing_reason(flags: u64) -> Option<u8> {
    match (flags & REASON_MASK) >> REASON_SHIFT {
        0 => None,
        number => Some((number - 1) as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_carry_the_reason_of_a_close() {
        for reason in [0, 1, 200, 254] {
            assert_eq!(closing_reason(closing_because(reason) | FULL), Some(reason));
        }
        assert_eq!(closing_reason(CLOSING | FULL | QUEUED), None);
    }
}
