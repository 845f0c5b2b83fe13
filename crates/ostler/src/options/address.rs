//! The address to listen on: `HOST:PORT`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use super::PortOptions;
use super::setting::Problem;
use crate::error::{Error, Result};

const FORM: &str = "it is HOST:PORT, for example `127.0.0.1:9501`, `0.0.0.0:9501`, `[::1]:9501` \
    or `localhost:9501`";

/// Checks the form only: a host name is resolved when the server starts.
pub(super) fn parse(text: &str) -> std::result::Result<String, Problem> {
    // A host name has at most 253 bytes (RFC 1035).
    const HOST_BYTES_MAX: usize = 253;
    let text = text.trim();
    let (host, port) = text.rsplit_once(':').ok_or_else(|| FORM.to_owned())?;
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.to_owned());
    }
    if port.parse::<u16>().is_err() {
        return Err(
            "the port is 0 (the kernel chooses) to 65535; the nearest valid value is 65535"
                .to_owned(),
        );
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(letters)
        }
    };
    if good { Ok(text.to_owned()) } else { Err(FORM.to_owned()) }
}

impl PortOptions {
    /// The address of `listen`; a host name is resolved now.
    pub(crate) fn listen_address(&self) -> Result<SocketAddr> {
        let found = self.listen.to_socket_addrs().map(|mut addresses| addresses.next());
        match found {
            Ok(Some(address)) => Ok(address),
            Ok(None) => Err(Error::listen(&self.listen, io::Error::from(io::ErrorKind::NotFound))),
            Err(error) => Err(Error::listen(&self.listen, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_listen_takes_addresses_and_names() {
        for good in
            ["127.0.0.1:9501", "0.0.0.0:0", "[::1]:80", "localhost:65535", "my-host.example:1"]
        {
            assert_eq!(parse(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn options_listen_refuses_half_an_address() {
        for bad in [
            "",
            "9501",
            ":9501",
            "127.0.0.1",
            "127.0.0.1:",
            "a b:1",
            "::1:80",
            "[::1]",
            "h:+1",
            "*:1",
        ] {
            assert!(parse(bad).unwrap_err().contains("HOST:PORT"), "{bad}");
        }
        assert!(parse("h:65536").unwrap_err().contains("65535"));
    }

    #[test]
    fn options_listen_is_resolved_at_start() {
        let options = PortOptions { listen: "[::1]:9502".to_owned(), ..PortOptions::default() };
        assert_eq!(options.listen_address().unwrap(), "[::1]:9502".parse().unwrap());
    }
}
