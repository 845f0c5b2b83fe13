//! What another master says of its sessions: any bytes are refused, or say something in the only
//! way in which it can be said.

use ostler_core::succession::hand_over::{SESSIONS_PER_OFFER_MAX, decode, encode};

pub fn list(input: &[u8]) {
    let Ok(sessions) = decode(input) else { return };
    assert!(sessions.len() <= SESSIONS_PER_OFFER_MAX);
    assert!(sessions.iter().all(|one| one.session != 0 && one.weight() >= one.received.len()));
    assert_eq!(encode(&sessions), input, "there is one way to say it");
}
