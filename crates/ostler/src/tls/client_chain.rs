//! How long the chain of a client's certificates may be, before anything of it is checked.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Refuses chains that are too long, and lets another one check the rest.
#[derive(Debug)]
pub(super) struct LimitedChain {
    checks: Arc<dyn ClientCertVerifier>,
    bytes_max: usize,
}

impl LimitedChain {
    /// For chains of at most so many bytes.
    pub(super) fn new(checks: Arc<dyn ClientCertVerifier>, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { checks, bytes_max })
    }
}

impl ClientCertVerifier for LimitedChain {
    fn offer_client_auth(&self) -> bool {
        self.checks.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.checks.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.checks.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = own.len() + others.iter().map(|der| der.len()).sum::<usize>();
        if bytes > self.bytes_max {
            let most = self.bytes_max;
            return Err(Error::General(format!(
                "the client's certificates have {bytes} bytes, more than tls_client_chain_max, \
                 {most}"
            )));
        }
        self.checks.verify_client_cert(own, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checks.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checks.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checks.supported_verify_schemes()
    }
}
