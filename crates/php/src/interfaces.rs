//! The network interfaces of this machine: getifaddrs(3).

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;
use std::ptr::null_mut;

/// One address of an interface; an interface with several is told as often.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) is_up: bool,
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) hardware: Option<[u8; 6]>,
}

/// All of them, with those of their addresses that are of IPv4 or the hardware's.
pub(crate) fn all() -> io::Result<Vec<Interface>> {
    let mut first: *mut libc::ifaddrs = null_mut();
    // SAFETY: it writes the address of a list, which is freed below.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut at = first;
    // SAFETY: the list is valid until it is freed, and its end is null.
    while let Some(entry) = unsafe { at.as_ref() } {
        // SAFETY: every entry has a name that ends with zero.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy().into_owned();
        let is_up = entry.ifa_flags & libc::IFF_UP.cast_unsigned() != 0;
        let (ip, hardware) = address(entry.ifa_addr);
        found.push(Interface { name, is_up, ip, hardware });
        at = entry.ifa_next;
    }
    // SAFETY: the list of above, which nothing refers to any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

fn address(address: *const libc::sockaddr) -> (Option<Ipv4Addr>, Option<[u8; 6]>) {
    // SAFETY: null, or an address of which at least the family is there.
    let Some(family) = (unsafe { address.as_ref() }).map(|one| i32::from(one.sa_family)) else {
        return (None, None);
    };
    match family {
        libc::AF_INET => {
            // SAFETY: the family says what it is; the list may align it as it likes.
            let address = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            (Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))), None)
        }
        libc::AF_PACKET => {
            // SAFETY: the same.
            let address = unsafe { address.cast::<libc::sockaddr_ll>().read_unaligned() };
            let [a, b, c, d, e, f, ..] = address.sll_addr;
            (None, Some([a, b, c, d, e, f]))
        }
        _ => (None, None),
    }
}
