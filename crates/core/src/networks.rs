//! Networks and single addresses of the internet: who is trusted, or meant otherwise.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// What stands before the slash is no address.
    Address,
    /// What stands behind it is no number of bits that such an address has.
    Bits {
        /// The most that it has.
        most: u8,
    },
    /// The address has bits behind those that count.
    Rest(Network),
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address that came by an IPv6 socket is one.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        first_bits(address.to_canonical(), self.bits) == Some(self.address)
            && address.to_canonical().is_ipv4() == self.address.is_ipv4()
    }
}

/// The address with nothing behind its first bits. `None`: it has not so many.
fn first_bits(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(ip) => {
            let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
            (bits <= u32::BITS).then(|| Ipv4Addr::from_bits(ip.to_bits() & !rest).into())
        }
        IpAddr::V6(ip) => {
            let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
            (bits <= u128::BITS).then(|| Ipv6Addr::from_bits(ip.to_bits() & !rest).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// `10.0.0.0/8`, `2001:db8::/32`; an address alone is a network of one.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        if given.to_canonical() != given {
            return Err(NetworkError::Address); // IPv4 in the form of IPv6: which bits count?
        }
        let most = if given.is_ipv4() { 32 } else { 128 };
        let is_number = |bits: &str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => match bits.parse() {
                Ok(number) if number <= most && is_number(bits) => number,
                _ => return Err(NetworkError::Bits { most }),
            },
        };
        let address = first_bits(given, bits).ok_or(NetworkError::Bits { most })?;
        let network = Self { address, bits };
        if address == given { Ok(network) } else { Err(NetworkError::Rest(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == all {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().has(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        for (network, address) in [
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "::ffff:10.1.2.3"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("192.168.128.0/17", "192.168.200.1"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
            ("::1", "::1"),
            ("::/0", "fe80::1"),
        ] {
            assert!(has(network, address), "{address} is in {network}");
        }
        for (network, address) in [
            ("10.0.0.0/8", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.4"),
            ("192.168.128.0/17", "192.168.127.255"),
            ("::/0", "10.0.0.1"),
            ("0.0.0.0/0", "::1"),
            ("::/96", "::ffff:10.0.0.1"),
            ("2001:db8::/32", "2001:db9::"),
        ] {
            assert!(!has(network, address), "{address} is not in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_reason() {
        let bits = |most| NetworkError::Bits { most };
        for (text, error) in [
            ("", NetworkError::Address),
            ("proxy.example", NetworkError::Address),
            ("10.0.0/8", NetworkError::Address),
            ("010.0.0.0/8", NetworkError::Address),
            ("::ffff:10.0.0.0/104", NetworkError::Address),
            ("10.0.0.0/33", bits(32)),
            ("10.0.0.0/", bits(32)),
            ("10.0.0.0/+8", bits(32)),
            ("::/129", bits(128)),
            ("::/-1", bits(128)),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
        let Err(NetworkError::Rest(meant)) = "10.1.2.3/8".parse::<Network>() else {
            panic!("bits that do not count")
        };
        assert_eq!(meant.to_string(), "10.0.0.0/8");
    }

    proptest! {
        /// A network is read back as it is written, and has exactly the addresses whose first bits
        /// are its own.
        #[test]
        fn networks_are_read_back_and_judge_by_their_bits(
            one: u128, other: u128, bits in 0..=128_u32, is_v4: bool
        ) {
            let (all, bits) = if is_v4 { (32, bits.min(32)) } else { (128, bits) };
            let ip = |number: u128| match is_v4 {
                true => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
                false => IpAddr::V6(Ipv6Addr::from_bits(number)),
            };
            // The same beginning in half of the cases.
            let other = if other & 1 == 0 { one ^ (other >> 1).checked_shr(bits).unwrap_or(0) }
                        else { other };
            let Some(address) = first_bits(ip(one), bits as u8) else { panic!("so many bits") };
            let network = Network { address, bits: bits as u8 };
            if address.to_canonical() != address {
                return Ok(());
            }
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            let number = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => u128::from(ip.to_bits()),
                IpAddr::V6(ip) => ip.to_bits(),
            };
            let shared = |ip: IpAddr| number(ip).checked_shr(all - bits).unwrap_or(0);
            let canonical = ip(other).to_canonical();
            let expected = canonical == ip(other) && shared(ip(other)) == shared(address);
            prop_assert_eq!(network.has(ip(other)), expected);
        }
    }
}
