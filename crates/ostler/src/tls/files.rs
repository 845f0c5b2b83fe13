//! From the files that the options name to what clients are shown. Every error names its file and
//! says what to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::client_chain::LimitedChain;
use super::contents::Contents;
use super::der::Certificate;
use super::names::Names;
use crate::options::{ClientAuth, TlsPair, TlsSettings};

/// Most bytes of the names of authorities that a client is told, with which it may choose its
/// certificate: its handshake has them all, and no message of one may have more than 64 KiB. Where
/// they have more, clients are told none, and show what they have.
const NAMES_BYTES_MAX: usize = 16 * 1024;

/// Makes everything that a port needs of its files. Tickets of `ticketer` are given out and taken
/// back, if the port has tickets.
pub(crate) fn load(
    settings: &TlsSettings,
    files: &Contents,
    ticketer: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if settings.only_newest { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let mut names = Names::new(settings.refuses_unknown);
    for pair in &settings.certificates {
        let certificate = &pair.certificate;
        let key = load_pair(pair, files, &provider)?;
        names.add(key).map_err(|problem| {
            format!("the certificate in `{}` cannot be used: {problem}", certificate.display())
        })?;
    }
    let verifier = client_verifier(settings, files, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let mut config =
        builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(names));
    config.alpn_protocols.clone_from(&settings.alpn);
    // Sessions that are taken up later lie with the clients, in tickets, and cost no memory here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if settings.tickets {
        config.ticketer = Arc::clone(ticketer);
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn load_pair(
    pair: &TlsPair,
    files: &Contents,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let TlsPair { certificate, key, ocsp } = pair;
    let chain = certificates(certificate, files)?;
    let private = private_key(key, files)?;
    let signing = provider.key_provider.load_private_key(private).map_err(|error| {
        format!("the private key in `{}` cannot be used: {error}", key.display())
    })?;
    let mut certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| {
        format!(
            "the private key in `{}` is not that of the certificate in `{}`",
            key.display(),
            certificate.display()
        )
    })?;
    let ocsp = ocsp.as_ref().map(|path| files.of(path)).transpose()?;
    certified.ocsp = ocsp.map(<[u8]>::to_vec);
    Ok(certified)
}

/// Whether all certificates of a port are valid now. What was right when it was read is served on
/// when its time is over.
pub(crate) fn are_valid_now(settings: &TlsSettings, files: &Contents) -> Result<(), String> {
    settings.certificates.iter().try_for_each(|pair| {
        is_valid_now(&pair.certificate, &certificates(&pair.certificate, files)?)
    })
}

/// The certificates of a file, the server's own first.
fn certificates(path: &Path, files: &Contents) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = files.of(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!(
            "there is no certificate in `{}`: it must be a PEM file, with a line `-----BEGIN \
             CERTIFICATE-----`",
            path.display()
        )),
        Err(error) => Err(format!("`{}` is no valid PEM file: {error}", path.display())),
    }
}

fn private_key(path: &Path, files: &Contents) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(files.of(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => format!(
            "there is no private key in `{}` that can be read: it must be a PEM file with an \
             unencrypted key (`-----BEGIN PRIVATE KEY-----`)",
            path.display()
        ),
        error => format!("`{}` is no valid PEM file: {error}", path.display()),
    })
}

fn is_valid_now(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), String> {
    let read = chain.first().and_then(|leaf| Certificate::read(leaf));
    let Some(Certificate { not_before, not_after, .. }) = read else {
        return Err(format!("the certificate in `{}` cannot be read", path.display()));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    if not_after < now {
        let days = (now - not_after) / 86_400;
        return Err(format!(
            "the certificate in `{}` expired {days} days ago: renew it",
            path.display()
        ));
    }
    if not_before > now {
        let days = (not_before - now).div_euclid(86_400) + 1;
        return Err(format!(
            "the certificate in `{}` is not valid before {days} days from now: is the clock of \
             this machine right?",
            path.display()
        ));
    }
    Ok(())
}

/// The authorities that files and directories name, each once: in a directory there are often links
/// to what is there, too.
fn authorities(paths: &[PathBuf], files: &Contents) -> Result<RootCertStore, String> {
    let (mut roots, mut known) = (RootCertStore::empty(), BTreeSet::new());
    for path in paths {
        for file in files.authorities(path)? {
            for certificate in certificates(file, files)? {
                if known.insert(certificate.to_vec()) {
                    roots.add(certificate).map_err(|error| {
                        format!("a certificate in `{}` cannot be used: {error}", file.display())
                    })?;
                }
            }
        }
    }
    Ok(roots)
}

fn client_verifier(
    settings: &TlsSettings,
    files: &Contents,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    if settings.asked_authorities().is_empty() {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let roots = Arc::new(authorities(settings.asked_authorities(), files)?);
    let names: usize = roots.subjects().iter().map(|name| name.as_ref().len()).sum();
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder =
        if names > NAMES_BYTES_MAX { builder.clear_root_hint_subjects() } else { builder };
    let builder = match settings.client_auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional | ClientAuth::Off => builder.allow_unauthenticated(),
    };
    let built = builder.build();
    let checks = built.map_err(|error| format!("`tls_client_ca` cannot be used: {error}"))?;
    Ok(LimitedChain::new(checks, settings.client_chain_max))
}
