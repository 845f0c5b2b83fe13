//! Headers of the PROXY protocol, as a proxy writes them.
#![allow(dead_code, reason = "each test binary uses some of them")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

/// From 192.0.2.1:56324 to 198.51.100.7:443.
pub const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 220, 4, 1, 187];
/// From `[2001:db8::1]:56324` to `[::1]:443`.
pub const V6: &[u8] = &[
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 1, 220, 4, 1, 187,
];

/// A header of version 2.
pub fn bytes(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &len, rest].concat()
}

/// What may stand behind the addresses.
pub fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind][..], &len, value].concat()
}

/// A header with its checksum at the end.
pub fn checked(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = bytes(command, family, &[addresses, &extension(3, &[0; 4])].concat());
    let sum = crc32c(&header).to_be_bytes();
    let at = header.len() - 4;
    header[at..].copy_from_slice(&sum);
    header
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            let carry = if sum & 1 == 0 { 0 } else { 0x82f6_3b78 };
            (sum >> 1) ^ carry
        })
    })
}
