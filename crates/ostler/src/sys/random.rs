//! Seeds from the kernel.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// `getrandom(2)` — a random number, for example where session ids start.
pub(crate) fn seed() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    // Up to 256 bytes are always given whole.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        assert_ne!(super::seed().unwrap(), super::seed().unwrap());
    }
}
