//! Where the next bytes of a package are received, when its header has said how long it is.

/// A package is given its whole memory when at least one byte in so many of it has come. Who only
/// announces a big package must not hold the memory of one, and growing by so much at once copies
/// little.
pub const STATED_GROWTH_MAX: usize = 16;
/// The least rest of a package that is received by itself: less is received together with what
/// follows it and copied, which costs less than another system call.
pub const STATED_REST_MIN: usize = 16 * 1024;

/// Where the next bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextBytes {
    /// Behind those that are there, in memory for so many bytes in all: where the package will
    /// stay. Not a byte of the next package is received with them.
    Stay {
        /// The length of the package.
        capacity: usize,
    },
    /// Anywhere: they are copied behind those that are there.
    Copied,
}

impl NextBytes {
    /// Decides it for a package of which `buffered` bytes are there; `stated` is what its header
    /// says ([`super::Frame::Incomplete`]).
    #[must_use]
    pub const fn of(buffered: usize, stated: Option<usize>) -> Self {
        match stated {
            Some(len)
                if len.saturating_sub(buffered) >= STATED_REST_MIN
                    && len <= buffered.saturating_mul(STATED_GROWTH_MAX) =>
            {
                Self::Stay { capacity: len }
            }
            _ => Self::Copied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_big_package_stays_where_it_is_received() {
        let (len, enough) = (1 << 20, (1 << 20) / STATED_GROWTH_MAX);
        assert_eq!(NextBytes::of(enough, Some(len)), NextBytes::Stay { capacity: len });
        let almost = len - STATED_REST_MIN;
        assert_eq!(NextBytes::of(almost, Some(len)), NextBytes::Stay { capacity: len });
    }

    #[test]
    fn who_has_only_announced_it_gets_no_memory() {
        for len in [1 << 20, 1 << 26, usize::MAX] {
            assert_eq!(NextBytes::of(4, Some(len)), NextBytes::Copied);
            assert_eq!(NextBytes::of(len / STATED_GROWTH_MAX - 1, Some(len)), NextBytes::Copied);
        }
    }

    #[test]
    fn a_small_rest_comes_with_what_follows_it() {
        assert_eq!(NextBytes::of(100, Some(1_000)), NextBytes::Copied);
        let rest = STATED_REST_MIN - 1;
        assert_eq!(NextBytes::of(100_000, Some(100_000 + rest)), NextBytes::Copied);
        assert_eq!(NextBytes::of(100_000, None), NextBytes::Copied);
        assert_eq!(NextBytes::of(100, Some(7)), NextBytes::Copied);
    }
}
