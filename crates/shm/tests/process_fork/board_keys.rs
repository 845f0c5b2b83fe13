//! Processes that are forked from one that has hashed something.

use super::process::Child;
use ostler_shm::board::{Board, BoardSizes};
use std::collections::HashSet;
use std::fs::File;
use std::hash::RandomState;
use std::io::{Read as _, Write as _};

/// The key of a board that a forked process makes.
fn key_of_a_child() -> [u8; 16] {
    let (read, write) = nix::unistd::pipe().unwrap();
    let _child = Child::new(|| {
        let sizes = BoardSizes { reactors: 1, sessions: 64, ..BoardSizes::default() };
        let (board, _fd) = Board::create(sizes).unwrap();
        let words = board.groups().unwrap().secret().map(u64::to_ne_bytes);
        File::from(write.try_clone().unwrap()).write_all(words.as_flattened()).unwrap();
    });
    drop(write);
    let mut key = [0; 16];
    File::from(read).read_exact(&mut key).unwrap();
    key
}

pub fn boards_of_siblings_have_keys_of_their_own() {
    // From now on this thread, and what is forked from it, has its seed for hashing.
    let _seed = RandomState::new();
    let keys: HashSet<[u8; 16]> = (0..4).map(|_| key_of_a_child()).collect();
    assert_eq!(keys.len(), 4);
}
