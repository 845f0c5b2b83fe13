//! What the options say about the encryption of a port.

#[cfg(feature = "tls")]
use std::path::{Path, PathBuf};

use super::PortOptions;
use super::validate::Contradiction;

/// Whether clients show certificates.
///
/// ```
/// use ostler::{ClientAuth, Tls};
///
/// let tls = Tls::new("a.pem", "a.key").client_certificates("clients.pem", ClientAuth::Optional);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// They are not asked for any.
    Off,
    /// They are asked, and may have none; one that is shown must be good.
    Optional,
    /// Without a good one there is no session.
    Required,
}

/// The oldest version of TLS that is spoken.
///
/// ```
/// use ostler::{Tls, TlsVersion};
///
/// let tls = Tls::new("a.pem", "a.key").min_version(TlsVersion::Tls12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// 1.2 and 1.3.
    Tls12,
    /// 1.3 only.
    Tls13,
}

/// What a client is shown that asks for a name of which there is no certificate.
///
/// ```
/// use ostler::{Tls, UnknownName};
///
/// let tls = Tls::new("a.pem", "a.key").unknown_name(UnknownName::First);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownName {
    /// The first certificate.
    First,
    /// Nothing: its handshake fails.
    Refuse,
}

/// The encryption of a port.
#[cfg(feature = "tls")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// The first one is for clients that ask for no name.
    pub(crate) certificates: Vec<TlsPair>,
    /// Authorities of the clients' certificates: files, and directories of such.
    pub(crate) client_ca: Vec<PathBuf>,
    pub(crate) client_auth: ClientAuth,
    /// Most bytes of the certificates of one client.
    pub(crate) client_chain_max: usize,
    /// Names of protocols, the best first; none: whatever the client wants.
    pub(crate) alpn: Vec<Vec<u8>>,
    /// TLS 1.3 and nothing older.
    pub(crate) only_newest: bool,
    /// Sessions may be taken up again.
    pub(crate) tickets: bool,
    pub(crate) refuses_unknown: bool,
}

#[cfg(feature = "tls")]
impl TlsSettings {
    /// All files that are read, besides those of authorities.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.certificates.iter();
        let of_pairs =
            pairs.flat_map(|pair| [Some(&pair.certificate), Some(&pair.key), pair.ocsp.as_ref()]);
        of_pairs.flatten().map(PathBuf::as_path)
    }

    /// The authorities of clients' certificates, if clients are asked for any: files, and
    /// directories of such.
    pub(crate) fn asked_authorities(&self) -> &[PathBuf] {
        if self.client_auth == ClientAuth::Off { &[] } else { &self.client_ca }
    }
}

/// A certificate with the chain to its authority, and its private key.
#[cfg(feature = "tls")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsPair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// What the authority says about its validity.
    pub(crate) ocsp: Option<PathBuf>,
}

#[cfg(feature = "tls")]
impl PortOptions {
    /// How the port is encrypted, if it is.
    pub(crate) fn tls_settings(&self) -> Option<TlsSettings> {
        let certificates = &self.tls_certificate.0;
        let path = |text: &String| PathBuf::from(text);
        let pairs = certificates.iter().enumerate().map(|(index, certificate)| TlsPair {
            certificate: path(certificate),
            // Certificate and key are often one file.
            key: path(self.tls_key.0.get(index).unwrap_or(certificate)),
            ocsp: self.tls_ocsp.0.get(index).map(path),
        });
        self.is_encrypted().then(|| TlsSettings {
            certificates: pairs.collect(),
            client_ca: self.tls_client_ca.0.iter().map(path).collect(),
            client_auth: self.tls_client_auth,
            client_chain_max: self.tls_client_chain_max,
            alpn: self.tls_alpn.0.iter().map(|name| name.clone().into_bytes()).collect(),
            only_newest: self.tls_min_version == TlsVersion::Tls13,
            tickets: self.tls_tickets,
            refuses_unknown: self.tls_unknown_name == UnknownName::Refuse,
        })
    }
}

impl PortOptions {
    /// Whether its URL says that it is encrypted.
    pub(super) const fn is_encrypted(&self) -> bool {
        self.listen.is_encrypted()
    }
}

/// An encrypted port that has nothing to show.
pub(super) fn without_certificate(port: &PortOptions) -> Option<Contradiction> {
    (port.is_encrypted() && port.tls_certificate.0.is_empty()).then(|| Contradiction {
        names: &["tls_certificate", "listen"],
        text:
            "a port of `tls://` needs `tls_certificate`, the file with what its clients are shown"
                .to_owned(),
    })
}

/// Keys or responses of which it is not known to which certificate they belong.
pub(super) fn unequal_lists(port: &PortOptions) -> Option<Contradiction> {
    let wanted = port.tls_certificate.0.len();
    let lists = [("tls_key", &port.tls_key), ("tls_ocsp", &port.tls_ocsp)];
    let (name, list) = lists
        .into_iter()
        .find(|(_, list)| !list.0.is_empty() && wanted > 0 && list.0.len() != wanted)
        .filter(|_| port.is_encrypted())?;
    Some(Contradiction {
        names: &["tls_certificate", "tls_key", "tls_ocsp"],
        text: format!(
            "`{name}` has {} files and `tls_certificate` {wanted}: name one for each certificate, \
             in the same order, or none",
            list.0.len()
        ),
    })
}

/// Certificates of clients need both: a wish for them and somebody who has signed them.
pub(super) fn half_client_auth(port: &PortOptions) -> Option<Contradiction> {
    let text = match (port.tls_client_auth, port.tls_client_ca.0.is_empty()) {
        _ if !port.is_encrypted() => return None,
        (ClientAuth::Off, false) => {
            "`tls_client_ca` is set and `tls_client_auth` is off, so that no client is asked for a \
             certificate: set it to `optional` or `required`"
        }
        (ClientAuth::Optional | ClientAuth::Required, true) => {
            "`tls_client_auth` needs `tls_client_ca`, files or directories with the authorities \
             whose certificates clients may show"
        }
        _ => return None,
    };
    Some(Contradiction { names: &["tls_client_auth", "tls_client_ca"], text: text.to_owned() })
}

/// A wish for encryption in a program that cannot.
pub(super) fn not_built(port: &PortOptions) -> Option<Contradiction> {
    let is_lacking = !cfg!(feature = "tls") && port.is_encrypted();
    is_lacking.then(|| Contradiction {
        names: &["listen"],
        text:
            "a port of `tls://` needs a program that was built with the feature `tls` of ostler, \
               and this one was not"
                .to_owned(),
    })
}
