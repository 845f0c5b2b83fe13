//! What a client says before it is known, and what stands in files of certificates, in any bytes.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;

use super::contents::Contents;
use super::der::Certificate;
use super::engine::{Engine, Progress};
use super::files;
use super::outgoing::Outgoing;
use super::subject;
use crate::options::{ClientAuth, TlsPair, TlsSettings};

macro_rules! pem {
    ($file:literal) => {
        include_bytes!(concat!("../../../../fuzz/certificates/", $file)).as_slice()
    };
}

/// The files of two certificates: of `a.test` and `*.a.test`, and of `b.test` and `*.deep.a.test`.
const FILES: [(&str, &[u8]); 4] = [
    ("first.pem", pem!("first.pem")),
    ("first.key", pem!("first.key")),
    ("second.pem", pem!("second.pem")),
    ("second.key", pem!("second.key")),
];

fn settings() -> TlsSettings {
    let pair = |name: &str| TlsPair {
        certificate: PathBuf::from(format!("{name}.pem")),
        key: PathBuf::from(format!("{name}.key")),
        ocsp: None,
    };
    TlsSettings {
        certificates: vec![pair("first"), pair("second")],
        client_ca: Vec::new(),
        client_auth: ClientAuth::Off,
        client_chain_max: 16 * 1024,
        alpn: vec![b"mqtt".to_vec()],
        only_newest: false,
        tickets: true,
        refuses_unknown: false,
    }
}

fn contents(other: Option<(&str, &[u8])>) -> Contents {
    let mut files = FILES.map(|(path, content)| (path, content)).to_vec();
    if let Some((path, content)) = other {
        files.retain(|(known, _)| *known != path);
        files.push((path, content));
    }
    Contents::of_files(files.into_iter().map(|(path, bytes)| (path.into(), bytes.to_vec())))
}

fn load(settings: &TlsSettings, contents: &Contents) -> Result<ServerConfig, String> {
    let ticketer = rustls::crypto::ring::Ticketer::new().map_err(|error| error.to_string())?;
    files::load(settings, contents, &ticketer)
}

/// The first byte says what the others are: what a client sends, in pieces of the length that the
/// second byte says, or a name that it asks for.
pub fn hello(input: &[u8]) {
    static CONFIG: OnceLock<Result<Arc<ServerConfig>, String>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| load(&settings(), &contents(None)).map(Arc::new));
    assert!(config.is_ok(), "{config:?}");
    let Ok(config) = config else { return };
    let Some((kind, rest)) = input.split_first() else { return };
    let Some((cut, bytes)) = rest.split_first() else { return };
    let sent = if kind & 1 == 0 { bytes.to_vec() } else { asking_for(bytes, kind & 2 != 0) };
    let whole = speak(config, &sent, sent.len().max(1));
    let pieces = speak(config, &sent, usize::from(*cut).max(1));
    assert_eq!(whole, pieces, "what a client says depends on how it arrives");
}

/// What a server makes of it: whether it goes on, and for which name it was asked.
fn speak(config: &Arc<ServerConfig>, sent: &[u8], piece: usize) -> (bool, Option<String>) {
    let Ok(mut engine) = Engine::new(Arc::clone(config)) else { return (false, None) };
    let (mut backlog, mut out) = (Vec::new(), Outgoing::default());
    let mut is_failed = false;
    for piece in sent.chunks(piece) {
        backlog.extend_from_slice(piece);
        let processed = engine.process(&mut backlog, &mut out, &mut |_| true);
        assert!(processed.consumed <= backlog.len(), "more is used than was sent");
        backlog.drain(..processed.consumed);
        match processed.outcome {
            Ok(Progress::Dry | Progress::Enough) => {}
            Ok(Progress::End) | Err(_) => {
                is_failed = true;
                break;
            }
        }
    }
    assert!(out.bytes().len() < 16 * 1024, "it answers {} bytes", out.bytes().len());
    assert!(engine.is_handshaking(), "nobody without keys is let in");
    let name = engine.asked().map(str::to_owned);
    if let Some(name) = &name {
        assert!(name.len() <= 255 && !name.contains(char::is_control), "{name:?}");
    }
    (is_failed, name)
}

/// A client's first message that asks for this name, as TLS 1.2 or 1.3 has it.
fn asking_for(name: &[u8], is_newest: bool) -> Vec<u8> {
    let with_len = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let extension =
        |kind: u16, content: &[u8]| [&kind.to_be_bytes()[..], &with_len(content)].concat();
    let name = [&[0][..], &with_len(name)].concat();
    let mut extensions = extension(0, &with_len(&name));
    extensions.extend(extension(10, &with_len(&[0, 23, 0, 29])));
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &with_len(&[4, 3, 8, 4])));
    if is_newest {
        extensions.extend(extension(43, &[2, 3, 4]));
        extensions.extend(extension(51, &[0, 0]));
    }
    let suites = [0x13, 0x01, 0xc0, 0x2b];
    let hello =
        [&[3, 3][..], &[7; 32], &[0], &with_len(&suites), &[1, 0], &with_len(&extensions)].concat();
    let len = (hello.len() as u32).to_be_bytes();
    let message = [&[1, len[1], len[2], len[3]][..], &hello].concat();
    // In as many records as it takes.
    let records = message.chunks(16 * 1024);
    records.flat_map(|record| [&[22, 3, 1][..], &with_len(record)].concat()).collect()
}

/// The first byte says what the others are: a certificate, one of the files that a port names, or
/// files that are handed over.
pub fn certificates(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let mut settings = settings();
    match kind % 6 {
        0 => return certificate(bytes),
        1 => return handed_over(bytes),
        2 => {}
        3 => {
            if let Some(pair) = settings.certificates.first_mut() {
                pair.certificate = "other".into();
            }
        }
        4 => {
            if let Some(pair) = settings.certificates.first_mut() {
                pair.key = "other".into();
                pair.ocsp = Some("other".into());
            }
        }
        _ => {
            settings.client_ca = vec!["other".into()];
            settings.client_auth = ClientAuth::Required;
        }
    }
    let contents = contents(Some(("other", bytes)));
    for result in
        [load(&settings, &contents).err(), files::are_valid_now(&settings, &contents).err()]
    {
        let Some(problem) = result else { continue };
        let names_it = problem.contains("`other`") || problem.contains("`tls_client_ca`");
        assert!(names_it, "it names another file: {problem}");
        assert!(!problem.contains(char::is_control), "{problem:?}");
    }
}

fn certificate(der: &[u8]) {
    let time = Certificate::read(der);
    let text = subject::text(der);
    if let Some(text) = &text {
        assert!(!text.contains(char::is_control), "{text:?}");
        // What is written in hex is twice as long, and every attribute has a name.
        assert!(text.len() <= 4 * der.len() + 64, "{} bytes of {}", text.len(), der.len());
    }
    if let (Some(text), Some(_)) = (text, subject::common_name(der)) {
        assert!(text.contains("CN="), "{text:?}");
    }
    if let Some(Certificate { not_before, not_after }) = time {
        // From the year 0 to the year 9999, and what a day of 99 hours is more.
        let possible = -62_200_000_000..=253_500_000_000;
        assert!(possible.contains(&not_before) && possible.contains(&not_after));
    }
}

fn handed_over(bytes: &[u8]) {
    let mut rest = bytes;
    let Some(contents) = Contents::take(&mut rest) else { return };
    let mut again = Vec::new();
    contents.write(&mut again);
    assert_eq!(Contents::take(&mut again.as_slice()), Some(contents));
}
