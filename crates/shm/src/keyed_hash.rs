//! SipHash-2-4, a hash whose values nobody can foresee who does not know its key: so clients cannot
//! choose names that fall together. Its authors: J.-P. Aumasson and D. J. Bernstein.

/// The hash of `bytes` under a key of two words.
#[must_use]
pub fn keyed_hash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let [low, high] = key;
    let mut state = [
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ];
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        absorb(&mut state, word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    // The last word has what is left and, on top, the length.
    let rest = words.remainder().iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    absorb(&mut state, rest | (bytes.len() as u64) << 56);
    let [_, _, third, _] = &mut state;
    *third ^= 0xff;
    (0..4).for_each(|_| round(&mut state));
    state.into_iter().fold(0, |hash, word| hash ^ word)
}

fn absorb(state: &mut [u64; 4], word: u64) {
    let [.., fourth] = state;
    *fourth ^= word;
    round(state);
    round(state);
    let [first, ..] = state;
    *first ^= word;
}

const fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that the authors give for the key 00..0f and the inputs 00.., of growing length.
    #[test]
    fn it_is_the_function_that_its_authors_describe() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let input: Vec<u8> = (0..64).collect();
        for (len, expected) in [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
            (63, 0x958a_324c_eb06_4572),
        ] {
            assert_eq!(keyed_hash(key, &input[..len]), expected, "{len}");
        }
    }

    /// The standard library has the same function, under a name that is deprecated.
    #[test]
    #[allow(deprecated)]
    fn it_is_the_function_of_the_standard_library() {
        use std::hash::{Hasher as _, SipHasher};
        let key = [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321];
        for len in 0..300_usize {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
            let mut hasher = SipHasher::new_with_keys(key[0], key[1]);
            hasher.write(&bytes);
            assert_eq!(keyed_hash(key, &bytes), hasher.finish(), "{len}");
        }
    }
}
