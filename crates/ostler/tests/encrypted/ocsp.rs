//! A client that remembers what the authority says about the server's certificate.
#![allow(clippy::unwrap_used)] // a test that cannot go on

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::encrypted::Authority;

/// What it has seen.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Vec<u8>>);

impl Seen {
    pub fn response(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// A client that trusts whoever shows something, for it is after something else.
pub fn client(authority: &Authority, seen: &Arc<Seen>) -> ClientConfig {
    let mut config = authority.client();
    config.dangerous().set_certificate_verifier(Arc::new(Verifier(Arc::clone(seen))));
    config
}

#[derive(Debug)]
struct Verifier(Arc<Seen>);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.0.lock().unwrap() = response.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}
