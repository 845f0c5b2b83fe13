//! What is wrong with a file is told by its name, with what to do.

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
        client_ca: Some(file),
        client_auth: ClientAuth::Required,
        ..authority.settings(&["good.test"])
    };
    load(&ask(authority.own())).unwrap();
    wrong(&ask(authority.write("none.pem", "nobody")), &["none.pem", "no certificate"]);
    wrong(&ask("/nonesuch.pem".into()), &["/nonesuch.pem"]);
}
