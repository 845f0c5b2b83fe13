//! What a client has shown and what was agreed in the handshake of TLS, as a `Connect` record
//! carries it (protocol §3).
//!
//! One form only: what is decoded is encoded into the same bytes. Whatever the bytes are, decoding
//! looks at none of them that is not there.

/// First byte of a body that is of this form.
const FORM: u8 = 1;
/// Flag: an earlier session was taken up.
const RESUMED: u8 = 1;
/// Form, flags, version, cipher, lengths of the name of the protocol and of the server, number of
/// certificates.
const HEAD: usize = 9;
/// In front of each certificate stands its length.
const LENGTH: usize = 4;

/// What was agreed in a handshake, and what the client has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts<'a> {
    /// The version of TLS, by its number in the protocol (0x0303 is 1.2).
    pub version: u16,
    /// The cipher suite, by its number in the protocol.
    pub cipher: u16,
    /// An earlier session was taken up.
    pub is_resumed: bool,
    /// The protocol that was agreed on (ALPN); empty: none.
    pub protocol: &'a [u8],
    /// The name that the client has asked for (SNI); empty: none.
    pub server_name: &'a str,
    /// The client's certificate and those behind it, DER; empty: it has shown none.
    pub certificates: Vec<&'a [u8]>,
}

impl<'a> TlsFacts<'a> {
    /// The bytes of the record; `None` when it has something that is too long for its form.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let lengths = [self.protocol.len(), self.server_name.len(), self.certificates.len()];
        let [protocol, name, certificates] = lengths.map(u8::try_from);
        let content: usize = self.certificates.iter().map(|der| LENGTH + der.len()).sum();
        let mut bytes =
            Vec::with_capacity(HEAD + self.protocol.len() + self.server_name.len() + content);
        bytes.extend([FORM, if self.is_resumed { RESUMED } else { 0 }]);
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.cipher.to_le_bytes());
        bytes.extend([protocol.ok()?, name.ok()?, certificates.ok()?]);
        bytes.extend(self.protocol);
        bytes.extend(self.server_name.as_bytes());
        for der in &self.certificates {
            bytes.extend(u32::try_from(der.len()).ok()?.to_le_bytes());
            bytes.extend(*der);
        }
        Some(bytes)
    }

    /// Reads what stands in a record; `None` when that is not of this form.
    #[must_use]
    pub fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let head: [u8; HEAD] = *take(&mut bytes, HEAD)?.as_array()?;
        let [form, flags, v0, v1, c0, c1, protocol, name, certificates] = head;
        if form != FORM || flags & !RESUMED != 0 {
            return None;
        }
        let protocol = take(&mut bytes, protocol.into())?;
        let server_name = std::str::from_utf8(take(&mut bytes, name.into())?).ok()?;
        let mut all = Vec::with_capacity(certificates.into());
        for _ in 0..certificates {
            let len = u32::from_le_bytes(*take(&mut bytes, LENGTH)?.as_array()?);
            all.push(take(&mut bytes, usize::try_from(len).ok()?)?);
        }
        bytes.is_empty().then_some(Self {
            version: u16::from_le_bytes([v0, v1]),
            cipher: u16::from_le_bytes([c0, c1]),
            is_resumed: flags == RESUMED,
            protocol,
            server_name,
            certificates: all,
        })
    }
}

/// Takes so many bytes off.
fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: TlsFacts<'static> = TlsFacts {
        version: 0x0304,
        cipher: 0x1301,
        is_resumed: true,
        protocol: b"mqtt",
        server_name: "a.test",
        certificates: Vec::new(),
    };

    #[test]
    fn what_is_too_long_is_not_encoded() {
        let long = [b'x'; 256];
        let name = str::from_utf8(&long).unwrap();
        let longest = TlsFacts { protocol: &long[1..], server_name: &name[1..], ..FULL };
        assert_eq!(TlsFacts::decode(&longest.encode().unwrap()), Some(longest));
        assert_eq!(TlsFacts { protocol: &long, ..FULL }.encode(), None);
        assert_eq!(TlsFacts { server_name: name, ..FULL }.encode(), None);
        assert_eq!(TlsFacts { certificates: vec![b""; 256], ..FULL }.encode(), None);
        assert!(TlsFacts { certificates: vec![b""; 255], ..FULL }.encode().is_some());
    }

    #[test]
    fn nothing_stands_behind_it_and_nothing_is_missing() {
        let all = TlsFacts { certificates: vec![b"one", b"", b"three"], ..FULL };
        let bytes = all.encode().unwrap();
        assert_eq!(TlsFacts::decode(&bytes), Some(all));
        for len in 0..bytes.len() {
            assert_eq!(TlsFacts::decode(&bytes[..len]), None, "{len}");
        }
        assert_eq!(TlsFacts::decode(&[&bytes[..], b"x"].concat()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_the_only_form(mut bytes: Vec<u8>, flags in 0..4_u8) {
            if let [form, second, ..] = &mut bytes[..] {
                (*form, *second) = (FORM, flags);
            }
            if let Some(facts) = TlsFacts::decode(&bytes) {
                prop_assert_eq!(facts.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn one_wrong_byte_is_refused_or_another_value(at in 0..60_usize, byte: u8) {
            let all = TlsFacts { certificates: vec![b"one", b"three"], ..FULL };
            let mut bytes = all.encode().unwrap();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Some(facts) = TlsFacts::decode(&bytes) {
                prop_assert_eq!(facts.encode().unwrap(), bytes);
            }
        }
    }
}
