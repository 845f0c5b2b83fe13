//! Certificates that tests make for themselves, and clients that trust them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::ProducesTickets;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::contents::Contents;
use super::files;
use crate::options::{ClientAuth, TlsPair, TlsSettings};

/// An authority that signs certificates, and a directory for them.
pub(crate) struct Authority {
    directory: PathBuf,
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Its directory has a name of its own for each test.
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("ostler-tls-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { directory, certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate and its key.
    pub(crate) fn sign(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// The same as files.
    pub(crate) fn pair(&self, names: &[&str]) -> TlsPair {
        self.pair_with(names, |_| {})
    }

    pub(crate) fn pair_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsPair {
        let (certificate, key) = self.sign(names, change);
        let file = names.first().copied().unwrap_or("none").replace('*', "_");
        TlsPair {
            certificate: self.write(&format!("{file}.pem"), certificate.pem()),
            key: self.write(&format!("{file}.key"), key.serialize_pem()),
            ocsp: None,
        }
    }

    /// The authority's own certificate, as a file.
    pub(crate) fn own(&self) -> PathBuf {
        self.write("authority.pem", self.certificate.pem())
    }

    pub(crate) fn settings(&self, names: &[&str]) -> TlsSettings {
        settings(vec![self.pair(names)])
    }

    /// Who trusts it.
    pub(crate) fn client_config(&self) -> ClientConfig {
        self.client_builder().with_no_client_auth()
    }

    fn client_builder(
        &self,
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn settings(certificates: Vec<TlsPair>) -> TlsSettings {
    TlsSettings {
        certificates,
        client_ca: Vec::new(),
        client_auth: ClientAuth::Off,
        client_chain_max: 16 * 1024,
        alpn: Vec::new(),
        only_newest: false,
        tickets: true,
        refuses_unknown: false,
    }
}

pub(crate) fn certified(authority: &Authority, names: &[&str]) -> CertifiedKey {
    let (certificate, key) = authority.sign(names, |_| {});
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider).unwrap()
}

pub(crate) fn ticketer() -> Arc<dyn ProducesTickets> {
    rustls::crypto::ring::Ticketer::new().unwrap()
}

pub(crate) fn load(settings: &TlsSettings) -> Result<Arc<ServerConfig>, String> {
    let contents = Contents::read(settings)?;
    files::are_valid_now(settings, &contents)?;
    files::load(settings, &contents, &ticketer()).map(Arc::new)
}

/// The other side of a connection, which works until nothing is left to do.
pub(crate) struct Peer {
    pub(crate) tls: ClientConnection,
    pub(crate) socket: UnixStream,
    /// What the server has said.
    pub(crate) received: Vec<u8>,
    /// The server has ended its side of the connection.
    pub(crate) is_cut: bool,
}

impl Peer {
    pub(crate) fn new(socket: UnixStream, config: ClientConfig, name: &str) -> Self {
        socket.set_nonblocking(true).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        Self { tls, socket, received: Vec::new(), is_cut: false }
    }

    /// Sends what is to be sent, takes what is there.
    pub(crate) fn work(&mut self) -> Result<(), rustls::Error> {
        while self.tls.wants_write() && self.tls.write_tls(&mut &self.socket).is_ok() {}
        let mut result = Ok(());
        loop {
            match self.tls.read_tls(&mut &self.socket) {
                Ok(0) => {
                    self.is_cut = true;
                    break;
                }
                Ok(_) => {
                    if let Err(error) = self.tls.process_new_packets() {
                        result = Err(error);
                        break;
                    }
                    let mut some = [0; 16 * 1024];
                    while let Ok(len @ 1..) = self.tls.reader().read(&mut some) {
                        self.received.extend_from_slice(&some[..len]);
                    }
                }
                Err(_) => break,
            }
        }
        while self.tls.wants_write() && self.tls.write_tls(&mut &self.socket).is_ok() {}
        result
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
        self.work().unwrap();
    }
}
