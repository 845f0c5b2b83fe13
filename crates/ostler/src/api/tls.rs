//! The encryption of a server, as its program says it.

use std::path::Path;

use super::builder::ServerBuilder;
use super::port_builder::PortBuilder;
use crate::options::{ClientAuth, Spell, TlsVersion, UnknownName};

/// How ports of `tls://` are encrypted: each part is an option (`tls_certificate` …), so that
/// operators can change it. Paths have no commas.
///
/// ```
/// use ostler::{ClientAuth, Server, Tls, TlsVersion};
///
/// let tls = Tls::new("/etc/ssl/example.org.pem", "/etc/ssl/example.org.key")
///     .and("/etc/ssl/example.net.pem", "/etc/ssl/example.net.key")
///     .client_certificates("/etc/ssl/clients.pem", ClientAuth::Optional)
///     .protocols(&["mqtt"])
///     .min_version(TlsVersion::Tls13);
/// let builder = Server::builder().listen("tls://0.0.0.0:8883").tls(tls);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing before `ServerBuilder::tls`"]
pub struct Tls {
    certificates: Vec<String>,
    keys: Vec<String>,
    others: Vec<(&'static str, String)>,
}

impl Tls {
    /// A PEM file with a certificate and the chain to its authority, and one with its private key,
    /// which is not encrypted. Both may be the same.
    ///
    /// ```
    /// let tls = ostler::Tls::new("both.pem", "both.pem");
    /// ```
    pub fn new(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        Self::default().and(certificate, key)
    }

    /// Another certificate, for clients that ask for a name that it has (SNI).
    ///
    /// ```
    /// let tls = ostler::Tls::new("one.pem", "one.key").and("two.pem", "two.key");
    /// ```
    pub fn and(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.certificates.push(text(certificate.as_ref()));
        self.keys.push(text(key.as_ref()));
        self
    }

    /// Whether clients show certificates, and a PEM file with the authorities of these.
    ///
    /// ```
    /// use ostler::{ClientAuth, Tls};
    ///
    /// let tls = Tls::new("a.pem", "a.key");
    /// let tls = tls.client_certificates("clients.pem", ClientAuth::Required);
    /// ```
    pub fn client_certificates(self, authorities: impl AsRef<Path>, auth: ClientAuth) -> Self {
        self.other("tls_client_ca", text(authorities.as_ref()))
            .other("tls_client_auth", auth.spell())
    }

    /// Most bytes of all certificates that one client shows (`tls_client_chain_max`); who shows
    /// more is refused.
    ///
    /// ```
    /// use ostler::{ClientAuth, Tls};
    ///
    /// let tls = Tls::new("a.pem", "a.key");
    /// let tls = tls.client_certificates("devices.pem", ClientAuth::Required);
    /// let tls = tls.client_chain_max(8 << 10);
    /// ```
    pub fn client_chain_max(self, bytes: usize) -> Self {
        self.other("tls_client_chain_max", bytes.to_string())
    }

    /// Files with the OCSP responses (DER) of the certificates, in their order.
    ///
    /// ```
    /// let tls = ostler::Tls::new("a.pem", "a.key").ocsp(&["a.ocsp"]);
    /// ```
    pub fn ocsp<P: AsRef<Path>>(self, responses: &[P]) -> Self {
        let texts: Vec<_> = responses.iter().map(|path| text(path.as_ref())).collect();
        self.other("tls_ocsp", texts.join(","))
    }

    /// The protocols that the port speaks, the best first, as ALPN names them.
    ///
    /// ```
    /// let tls = ostler::Tls::new("a.pem", "a.key").protocols(&["mqtt"]);
    /// ```
    pub fn protocols(self, names: &[&str]) -> Self {
        self.other("tls_alpn", names.join(","))
    }

    /// The oldest version that is spoken.
    ///
    /// ```
    /// use ostler::{Tls, TlsVersion};
    ///
    /// let tls = Tls::new("a.pem", "a.key").min_version(TlsVersion::Tls13);
    /// ```
    pub fn min_version(self, version: TlsVersion) -> Self {
        self.other("tls_min_version", version.spell())
    }

    /// Whether clients may take up their sessions again with a ticket.
    ///
    /// ```
    /// let tls = ostler::Tls::new("a.pem", "a.key").tickets(false);
    /// ```
    pub fn tickets(self, on: bool) -> Self {
        self.other("tls_tickets", on.spell())
    }

    /// What a client is shown that asks for a name of which there is no certificate.
    ///
    /// ```
    /// use ostler::{Tls, UnknownName};
    ///
    /// let tls = Tls::new("a.pem", "a.key").unknown_name(UnknownName::Refuse);
    /// ```
    pub fn unknown_name(self, what: UnknownName) -> Self {
        self.other("tls_unknown_name", what.spell())
    }

    fn other(mut self, name: &'static str, value: String) -> Self {
        self.others.push((name, value));
        self
    }

    /// The options that say the same.
    fn options(self) -> impl Iterator<Item = (&'static str, String)> {
        let Self { certificates, keys, others } = self;
        let files = [("tls_certificate", certificates.join(",")), ("tls_key", keys.join(","))];
        files.into_iter().chain(others)
    }
}

/// A path as options have it. One that is no text is told when it cannot be read.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl ServerBuilder {
    /// What the clients of ports of `tls://` are shown, and what they have to show.
    ///
    /// ```
    /// use ostler::{Server, Tls};
    ///
    /// let tls = Tls::new("a.pem", "a.key");
    /// let builder = Server::builder().listen("tls://0.0.0.0:8883").tls(tls);
    /// ```
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        tls.options().fold(self, |builder, (name, value)| builder.set(name, value))
    }
}

impl PortBuilder {
    /// What the clients of this port are shown, if it is one of `tls://`, and what they have to
    /// show.
    ///
    /// ```
    /// use ostler::{Server, Tls};
    ///
    /// let builder = Server::builder();
    /// let tls = Tls::new("a.pem", "a.key");
    /// let builder = builder.port("secure", "tls://0.0.0.0:8883", |port| port.tls(tls));
    /// ```
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        tls.options().fold(self, |builder, (name, value)| builder.set(name, value))
    }
}
