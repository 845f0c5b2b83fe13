//! Certificates for servers that are measured, made anew each time, so that none is stored and none
//! expires.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, Result};

/// The name that certificates of measured servers are made for, and that clients ask for.
pub(crate) const SERVER_NAME: &str = "localhost";

/// The files with which a server of TLS shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// A certificate and its key in files that are gone when this is dropped.
#[derive(Debug)]
pub struct SelfSigned {
    directory: PathBuf,
    identity: Identity,
}

impl SelfSigned {
    /// Makes one, for the name that the load generator asks for.
    pub fn make() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ostler-bench-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])
            .map_err(|error| Error::usage(format!("cannot make a certificate: {error}")))?;
        std::fs::create_dir_all(&directory).map_err(Error::system("make a directory"))?;
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(Error::system("write a certificate"))?;
            Ok(path)
        };
        let certificate = write("certificate.pem", made.cert.pem())?;
        let key = write("key.pem", made.signing_key.serialize_pem())?;
        Ok(Self { directory, identity: Identity { certificate, key } })
    }

    /// Where its files are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Drop for SelfSigned {
    fn drop(&mut self) {
        // What cannot be removed is a directory among temporary ones.
        _ = std::fs::remove_dir_all(&self.directory);
    }
}
