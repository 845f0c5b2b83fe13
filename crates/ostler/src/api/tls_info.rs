//! What was agreed with a client in the handshake of TLS, and what it has shown.

use ostler_core::invariant;
use ostler_shm::tls_facts::TlsFacts;

use super::session::Session;
use crate::options::TlsVersion;
use crate::tls::subject;

/// What was agreed with a client in the handshake of TLS, and what it has shown; see
/// [`Session::tls`].
///
/// ```
/// # use ostler::TlsInfo;
/// fn describe(tls: &TlsInfo) -> String {
///     let name = tls.server_name().unwrap_or("no name");
///     format!("{:?} {} for {name}", tls.version(), tls.cipher_suite())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    version: TlsVersion,
    cipher: u16,
    is_resumed: bool,
    protocol: Option<Vec<u8>>,
    server_name: Option<String>,
    certificates: Vec<ClientCertificate>,
}

/// A certificate that a client has shown and the server has checked: it, or the one that has signed
/// it, is signed by an authority of `tls_client_ca`, and the client has its private key.
///
/// ```
/// # use ostler::{Outcome, Session};
/// fn greet(session: &Session) -> Outcome {
///     let tls = session.tls().ok_or("not encrypted")?;
///     let name = tls.client_certificate().and_then(|own| own.common_name());
///     Ok(session.send(format!("hello {}\n", name.as_deref().unwrap_or("stranger")).as_bytes())?)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    der: Vec<u8>,
}

impl TlsInfo {
    /// Reads what the reactor wrote.
    fn read(bytes: &[u8]) -> Option<Self> {
        let shown = TlsFacts::decode(bytes);
        invariant!(shown.is_some(), "a reactor writes what was shown in its form");
        let shown = shown?;
        let certificate = |der: &&[u8]| ClientCertificate { der: der.to_vec() };
        Some(Self {
            // These two are spoken.
            version: if shown.version < TLS13 { TlsVersion::Tls12 } else { TlsVersion::Tls13 },
            cipher: shown.cipher,
            is_resumed: shown.is_resumed,
            protocol: Some(shown.protocol.to_vec()).filter(|name| !name.is_empty()),
            server_name: Some(shown.server_name.to_owned()).filter(|name| !name.is_empty()),
            certificates: shown.certificates.iter().map(certificate).collect(),
        })
    }

    /// The version that is spoken.
    ///
    /// ```
    /// # use ostler::{TlsInfo, TlsVersion};
    /// fn is_new(tls: &TlsInfo) -> bool {
    ///     tls.version() == TlsVersion::Tls13
    /// }
    /// ```
    #[must_use]
    pub const fn version(&self) -> TlsVersion {
        self.version
    }

    /// The cipher suite, as the standard calls it: `TLS13_AES_128_GCM_SHA256`.
    ///
    /// ```
    /// # use ostler::TlsInfo;
    /// fn has_long_keys(tls: &TlsInfo) -> bool {
    ///     tls.cipher_suite().contains("256_GCM")
    /// }
    /// ```
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        rustls::CipherSuite::from(self.cipher).as_str().unwrap_or("unknown")
    }

    /// The protocol that was agreed on (ALPN, `tls_alpn`), if there was one.
    ///
    /// ```
    /// # use ostler::TlsInfo;
    /// fn speaks_mqtt(tls: &TlsInfo) -> bool {
    ///     tls.protocol() == Some(b"mqtt")
    /// }
    /// ```
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.protocol.as_deref()
    }

    /// The name of the server for which the client has asked (SNI), if it asked for one. It may be
    /// any name: see `tls_unknown_name`.
    ///
    /// ```
    /// # use ostler::TlsInfo;
    /// fn is_for_shop(tls: &TlsInfo) -> bool {
    ///     tls.server_name() == Some("shop.example.org")
    /// }
    /// ```
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether the client has taken up an earlier session with a ticket: its certificates are those
    /// that it showed then.
    ///
    /// ```
    /// # use ostler::TlsInfo;
    /// fn was_cheap(tls: &TlsInfo) -> bool {
    ///     tls.is_resumed()
    /// }
    /// ```
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The client's own certificate, if it was asked for one (`tls_client_auth`) and has shown it.
    ///
    /// ```
    /// # use ostler::TlsInfo;
    /// fn is_known(tls: &TlsInfo) -> bool {
    ///     tls.client_certificate().is_some()
    /// }
    /// ```
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.certificates.first()
    }

    /// All certificates that the client has shown: its own, and those behind it up to its
    /// authority, as far as it sent them. Together they have at most `tls_client_chain_max` bytes.
    ///
    /// ```
    /// # use ostler::TlsInfo;
    /// fn authority(tls: &TlsInfo) -> Option<String> {
    ///     tls.client_certificates().last()?.subject()
    /// }
    /// ```
    #[must_use]
    pub fn client_certificates(&self) -> &[ClientCertificate] {
        &self.certificates
    }
}

/// The number of TLS 1.3 in the protocol.
const TLS13: u16 = 0x0304;

impl ClientCertificate {
    /// It, in DER, for who wants to know more of it.
    ///
    /// ```
    /// # use ostler::ClientCertificate;
    /// fn size(certificate: &ClientCertificate) -> usize {
    ///     certificate.der().len()
    /// }
    /// ```
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose it is, as RFC 4514 writes it: the last attribute first, with commas between them, and
    /// signs of its own escaped: `CN=ada,O=Example`. Attributes without a usual short name have
    /// their number. `None` when it cannot be read.
    ///
    /// ```
    /// # use ostler::ClientCertificate;
    /// fn is_ada(certificate: &ClientCertificate) -> bool {
    ///     certificate.subject().as_deref() == Some("CN=ada,O=Example")
    /// }
    /// ```
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        subject::text(&self.der)
    }

    /// The common name of its subject, as it is. `None` when there is none or more than one.
    ///
    /// ```
    /// # use ostler::ClientCertificate;
    /// fn is_ada(certificate: &ClientCertificate) -> bool {
    ///     certificate.common_name().as_deref() == Some("ada")
    /// }
    /// ```
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        subject::common_name(&self.der)
    }
}

impl Session {
    /// What was agreed with the client in the handshake of TLS, and which certificate it has shown.
    /// It answers inside [`Handler::on_connect`](crate::Handler::on_connect) of this session, and
    /// `None` everywhere else, and for a port that is not encrypted: what later callbacks need is
    /// kept in the state of the session, which every worker sees.
    ///
    /// ```
    /// use ostler::{Handler, Outcome, Package, Session, Worker};
    ///
    /// /// Knows its clients by their certificates.
    /// struct Ledger;
    ///
    /// impl Handler for Ledger {
    ///     fn on_connect(&mut self, _: &Worker, session: &Session) -> Outcome {
    ///         let tls = session.tls().ok_or("a port of tls:// is needed")?;
    ///         let own = tls.client_certificate().ok_or("set tls_client_auth = required")?;
    ///         let name = own.common_name().ok_or("a certificate without a name")?;
    ///         Ok(session.set_state(name.as_bytes())?)
    ///     }
    ///
    ///     fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
    ///         let name = session.state();
    ///         Ok(session.send(&[b"you are ", &name[..]].concat())?)
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn tls(&self) -> Option<TlsInfo> {
        let shown = self.context().arriving.of(self.id())?;
        TlsInfo::read(&shown)
    }
}
