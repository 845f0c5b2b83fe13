//! What a proxy says, in arbitrary cuts: what is found must not depend on them, and never changes
//! when more comes.

use ostler_core::proxy_protocol::{Client, V2_MAX_BYTES, find};

pub fn header(input: &[u8]) {
    let whole = find(input);
    let mut decided = None;
    for len in 0..=input.len() {
        let found = find(&input[..len]);
        match (found, decided) {
            (found, Some(before)) => assert_eq!(found, before, "more bytes change the answer"),
            (Ok(None), None) => assert!(len < V2_MAX_BYTES, "it waits for bytes of no use"),
            (Ok(Some(header)), None) => {
                assert_eq!(header.len, len, "a header is found when its last byte is there");
                assert!((15..=V2_MAX_BYTES).contains(&len));
                decided = Some(found);
            }
            (Err(_), None) => decided = Some(found),
        }
    }
    if let Some(decided) = decided {
        assert_eq!(whole, decided);
    }
    if let Ok(Some(header)) = whole
        && let Client::At(address) = header.client
    {
        assert_eq!(address.ip(), address.ip().to_canonical(), "an address has one form");
    }
}
