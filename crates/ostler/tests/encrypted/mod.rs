//! Certificates that a test makes for itself, and clients that trust them.
#![allow(dead_code, reason = "each test binary uses some of them")]
#![allow(clippy::unwrap_used)] // a test that cannot go on

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ostler_testkit::{DEADLINE, ServerBuilder, TestError, TestResult};
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

/// The name of every server that is asked for no other.
pub const NAME: &str = "localhost";

/// Who signs certificates, and a directory of its own for them.
pub struct Authority {
    directory: PathBuf,
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub der: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tls-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number} of a test"));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { directory, certificate, issuer: Issuer::new(params, key) }
    }

    pub fn write(&self, file: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.join(file);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for these names, in files that begin with `file`.
    pub fn pair(&self, file: &str, names: &[&str]) -> Pair {
        self.pair_with(file, names, |_| {})
    }

    pub fn pair_with(
        &self,
        file: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: self.write(&format!("{file}.pem"), certificate.pem()),
            key: self.write(&format!("{file}.key"), key.serialize_pem()),
            der: certificate.der().clone(),
        }
    }

    /// Its own certificate, as a file.
    pub fn own(&self) -> PathBuf {
        self.write("authority.pem", self.certificate.pem())
    }

    /// A client that trusts it.
    pub fn client(&self) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS)
    }

    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        self.builder(versions).with_no_client_auth()
    }

    /// A client with a certificate of its own.
    pub fn client_as(&self, common_name: &str) -> ClientConfig {
        let file = format!("client-{common_name}");
        let pair = self.pair_with(&file, &[], |params| {
            params.distinguished_name.push(DnType::CommonName, common_name);
        });
        let key = std::fs::read(&pair.key).unwrap();
        let key = rustls::pki_types::pem::PemObject::from_pem_slice(&key).unwrap();
        let key: PrivateKeyDer<'static> = key;
        self.builder(rustls::ALL_VERSIONS).with_client_auth_cert(vec![pair.der], key).unwrap()
    }

    /// A client whose certificate is signed by somebody whom this authority has signed. Its own one
    /// is so many bytes longer than others.
    pub fn client_behind_another(
        &self,
        common_name: &str,
        filler: usize,
        versions: &[&'static SupportedProtocolVersion],
    ) -> (ClientConfig, Vec<CertificateDer<'static>>) {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "between");
        let key = KeyPair::generate().unwrap();
        let between = params.signed_by(&key, &self.issuer).unwrap();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let number = &[1, 3, 6, 1, 4, 1, 99_999, 1];
        let extension = rcgen::CustomExtension::from_oid_content(number, vec![0; filler]);
        params.custom_extensions.push(extension);
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &issuer).unwrap();
        let chain = vec![own.der().clone(), between.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = self.builder(versions);
        (builder.with_client_auth_cert(chain.clone(), key).unwrap(), chain)
    }

    fn builder(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A server that shows this certificate.
pub fn showing(builder: ServerBuilder, pair: &Pair) -> ServerBuilder {
    builder
        .set("listen", "tls://127.0.0.1:0")
        .set("tls_certificate", pair.certificate.display())
        .set("tls_key", pair.key.display())
}

/// An encrypted connection.
pub struct TlsClient {
    pub tls: ClientConnection,
    pub socket: TcpStream,
}

impl TlsClient {
    /// Connects, and makes the handshake.
    pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> TestResult<Self> {
        Self::connect_to(address, config, NAME)
    }

    /// The same for a server of this name.
    pub fn connect_to(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> TestResult<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        socket.set_nodelay(true)?;
        Self::over(socket, config, name, b"")
    }

    /// The same over a connection, with something that stands in front of the first record and is
    /// sent with it.
    pub fn over(
        socket: TcpStream,
        config: &Arc<ClientConfig>,
        name: &str,
        in_front: &[u8],
    ) -> TestResult<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(wrong)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(wrong)?;
        let mut client = Self { tls, socket };
        let mut first = in_front.to_vec();
        client.tls.write_tls(&mut first)?;
        client.socket.write_all(&first)?;
        while client.tls.is_handshaking() {
            client.tls.complete_io(&mut client.socket)?;
        }
        Ok(client)
    }

    pub fn send(&mut self, bytes: &[u8]) -> TestResult {
        rustls::Stream::new(&mut self.tls, &mut self.socket).write_all(bytes)?;
        Ok(())
    }

    /// Receives exactly so many bytes.
    pub fn read_exactly(&mut self, len: usize) -> TestResult<Vec<u8>> {
        let mut bytes = vec![0; len];
        rustls::Stream::new(&mut self.tls, &mut self.socket).read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends something and expects it back, while both sides are busy with it.
    pub fn round_trip(&mut self, bytes: &[u8]) -> TestResult {
        // More than the buffers of both sides hold is sent in pieces, or nobody would read.
        for piece in bytes.chunks(64 * 1024) {
            self.send(piece)?;
            if self.read_exactly(piece.len())? != piece {
                return Err(TestError::new("something else came back"));
            }
        }
        Ok(())
    }

    /// The server ends the session in order: its goodbye comes, and nothing before it.
    pub fn expect_goodbye(&mut self) -> TestResult {
        let mut some = [0; 64];
        match rustls::Stream::new(&mut self.tls, &mut self.socket).read(&mut some) {
            Ok(0) => Ok(()),
            Ok(len) => Err(TestError::new(format!("{len} bytes came instead of the end"))),
            Err(error) => Err(TestError::from(error).context("instead of a goodbye")),
        }
    }

    /// Says goodbye and ends this side of the connection.
    pub fn say_goodbye(&mut self) -> TestResult {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(self.socket.shutdown(std::net::Shutdown::Write)?)
    }

    /// The certificate that the server has shown.
    pub fn shown(&self) -> Option<CertificateDer<'static>> {
        Some(self.tls.peer_certificates()?.first()?.clone().into_owned())
    }

    pub fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
}

/// Why a handshake was refused: the alert, or that the connection ended. In TLS 1.3 the client may
/// believe that it is through before the server has looked at its certificate, so that it also
/// asks for something.
pub fn refusal(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> TestResult<String> {
    let asked = TlsClient::connect_to(address, config, name)
        .and_then(|mut client| client.round_trip(b"is anybody there?"));
    match asked {
        Ok(()) => Err(TestError::new("the server has let the client in")),
        Err(error) => Ok(error.to_string()),
    }
}

/// Whether an error is only that the time is over.
pub fn is_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn wrong(error: impl std::fmt::Display) -> TestError {
    TestError::new(error.to_string())
}
