//! What is wrong with a file is told by its name, with what to do.

use std::fs;
use std::sync::{Arc, Mutex};

use rcgen::date_time_ymd;

use super::testing::{Authority, load, settings};
use crate::options::{ClientAuth, TlsPair, TlsSettings};

fn wrong(settings: &TlsSettings, words: &[&str]) {
    let text = load(settings).expect_err("it was taken");
    for word in words {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
}

#[test]
fn each_file_that_is_not_right_is_named_with_what_is_wrong_with_it() {
    let authority = Authority::new("files");
    let good = authority.pair(&["good.test"]);
    let other = authority.pair(&["other.test"]);
    let with = |certificate: &TlsPair, key: &TlsPair| {
        settings(vec![TlsPair { key: key.key.clone(), ..certificate.clone() }])
    };
    load(&with(&good, &good)).unwrap();
    wrong(&with(&good, &other), &["other.test.key", "is not that of", "good.test.pem"]);
    let expired = authority.pair_with(&["expired.test"], |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    wrong(&with(&expired, &expired), &["expired.test.pem", "expired", "renew"]);
    let early = authority.pair_with(&["early.test"], |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    });
    wrong(&with(&early, &early), &["early.test.pem", "not valid before", "clock"]);
    let missing = TlsPair { certificate: "/nonesuch.pem".into(), ..good.clone() };
    wrong(&settings(vec![missing]), &["/nonesuch.pem", "cannot read"]);
    let text = authority.write("text.pem", "no certificate");
    let empty = TlsPair { certificate: text.clone(), ..good.clone() };
    wrong(&settings(vec![empty]), &["text.pem", "no certificate", "BEGIN CERTIFICATE"]);
    let no_key = TlsPair { key: text, ..good.clone() };
    wrong(&settings(vec![no_key]), &["text.pem", "no private key", "unencrypted"]);
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let broken = TlsPair { certificate: authority.write("broken.pem", broken), ..good.clone() };
    wrong(&settings(vec![broken]), &["broken.pem", "PEM"]);
    let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let noise = TlsPair { certificate: authority.write("noise.pem", noise), ..good.clone() };
    wrong(&settings(vec![noise]), &["noise.pem", "cannot be read"]);
    let long = authority.write("long.pem", vec![b'x'; 1_100_000]);
    let long = TlsPair { certificate: long, ..good.clone() };
    wrong(&settings(vec![long]), &["long.pem", "longer than"]);
    let no_response = TlsPair { ocsp: Some("/nonesuch.ocsp".into()), ..good.clone() };
    wrong(&settings(vec![no_response]), &["/nonesuch.ocsp"]);
}

#[test]
fn authorities_of_clients_are_certificates_too() {
    let authority = Authority::new("authorities");
    let ask = |file| TlsSettings {
        client_ca: vec![file],
        client_auth: ClientAuth::Required,
        ..authority.settings(&["good.test"])
    };
    load(&ask(authority.own())).unwrap();
    wrong(&ask(authority.write("none.pem", "nobody")), &["none.pem", "no certificate"]);
    wrong(&ask("/nonesuch.pem".into()), &["/nonesuch.pem"]);
}

#[test]
fn a_directory_without_authorities_is_named_and_so_is_each_file_in_it_that_is_not_right() {
    let authority = Authority::new("directory");
    let own = authority.own();
    let directory = own.with_file_name("clients");
    let settings = TlsSettings {
        client_ca: vec![directory.clone()],
        client_auth: ClientAuth::Required,
        ..authority.settings(&["good.test"])
    };
    wrong(&settings, &["clients", "cannot read"]);
    fs::create_dir(&directory).unwrap();
    wrong(&settings, &["clients", "no certificate in the directory", "openssl rehash"]);
    fs::write(directory.join("empty.pem"), "").unwrap();
    fs::copy(&own, directory.join("authority.txt")).unwrap();
    wrong(&settings, &["clients", "no certificate in the directory"]);
    let spoilt = directory.join("spoilt.pem");
    fs::write(&spoilt, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    wrong(&settings, &["spoilt.pem", "cannot be used"]);
    fs::write(&spoilt, vec![b'x'; 1_100_000]).unwrap();
    wrong(&settings, &["spoilt.pem", "longer than"]);
    fs::rename(&own, &spoilt).unwrap();
    load(&settings).unwrap();
    let many = [authority.own(), directory.clone()].to_vec();
    load(&TlsSettings { client_ca: many, ..settings.clone() }).unwrap();
}

#[test]
fn a_directory_of_something_else_is_not_read_to_its_end() {
    let authority = Authority::new("crowded");
    let directory = authority.own().with_file_name("crowded");
    fs::create_dir(&directory).unwrap();
    let settings = TlsSettings {
        client_ca: vec![directory.clone()],
        client_auth: ClientAuth::Optional,
        ..authority.settings(&["good.test"])
    };
    for index in 0..9 {
        fs::write(directory.join(format!("{index}.pem")), vec![b'x'; 1 << 20]).unwrap();
    }
    wrong(&settings, &["crowded", "more than 8388608 bytes"]);
    let link = |name: String| std::os::unix::fs::symlink("/nonesuch", directory.join(name));
    (9..4_097).for_each(|index| link(format!("{index}.pem")).unwrap());
    wrong(&settings, &["crowded", "more than 4096 files of certificates"]);
    (4_097..16_385).for_each(|index| link(format!("{index}.txt")).unwrap());
    wrong(&settings, &["crowded", "more than 16384 names"]);
}

/// A client is told the names of the authorities, in a message that has a largest size.
#[test]
fn more_authorities_than_a_handshake_can_name_are_trusted_all_the_same() {
    let authority = Authority::new("hints");
    for (count, are_told) in [(10, true), (400, false)] {
        let mut bundle = fs::read_to_string(authority.own()).unwrap();
        for index in 0..count {
            let (certificate, _) = authority.sign(&[], |params| {
                let name = format!("{index} {}", "of a long name ".repeat(12));
                params.distinguished_name.push(rcgen::DnType::CommonName, name);
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            });
            bundle.push_str(&certificate.pem());
        }
        let settings = TlsSettings {
            client_ca: vec![authority.write("bundle.pem", bundle)],
            client_auth: ClientAuth::Required,
            ..authority.settings(&["good.test"])
        };
        let config = load(&settings).unwrap();
        let told = Arc::new(Mutex::new(None));
        let resolver = Told(Arc::clone(&told));
        let mut client = authority.client_config();
        client.client_auth_cert_resolver = Arc::new(resolver);
        let mut server = rustls::ServerConnection::new(config).unwrap();
        let name = rustls::pki_types::ServerName::try_from("good.test").unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut hello = bytes.as_slice();
        while !hello.is_empty() {
            server.read_tls(&mut hello).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut answer = bytes.as_slice();
        while !answer.is_empty() {
            client.read_tls(&mut answer).unwrap();
            client.process_new_packets().unwrap();
        }
        assert_eq!(*told.lock().unwrap(), Some(if are_told { count + 1 } else { 0 }));
    }
}

/// A client that notes how many authorities it was told.
#[derive(Debug)]
struct Told(Arc<Mutex<Option<usize>>>);

impl rustls::client::ResolvesClientCert for Told {
    fn resolve(
        &self,
        hints: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = Some(hints.len());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}
