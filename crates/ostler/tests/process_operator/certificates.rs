//! Certificates for operators who have to wait for a reload.

use std::sync::Arc;

use ostler_testkit::{TestResult, TestServer};
use rustls::pki_types::CertificateDer;

use crate::encrypted::{Authority, NAME, TlsClient, showing};
use crate::operator::Operator;
use crate::support::{check, wait_lines};
use crate::talk::Scratch;
use crate::{small_probe, start};

/// What a new client is shown.
fn shown(
    server: &TestServer,
    authority: &Authority,
) -> TestResult<Option<CertificateDer<'static>>> {
    let client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
    Ok(client.shown())
}

/// What an operator has put there before it has asked is in the reload that answers it.
#[test]
fn who_waits_for_a_reload_is_answered_when_the_certificates_are_new() -> TestResult {
    let (scratch, authority) = (Scratch::new("operator-certificates")?, Authority::new());
    let (path, hang) = (scratch.path("operator"), scratch.path("hang"));
    let first = authority.pair("pair", &[NAME]);
    let builder = showing(small_probe(), &first).set("tls_watch", false);
    let server = start(builder.env("PROBE_HANG_START_IF_EXISTS", &hang), &path, 1)?;
    std::fs::write(&hang, "")?;
    let (mut one, mut other) = (Operator::new(&path)?, Operator::new(&path)?);
    one.say(b"reload\n")?;
    wait_lines(&server, "reload begins", 1)?;
    let second = authority.pair("pair", &[NAME]);
    other.say(b"reload\n")?;
    wait_lines(&server, "a reload runs: this one is merged", 1)?;
    check(shown(&server, &authority)?.as_ref() == Some(&first.der), "it waits with the operator")?;
    std::fs::remove_file(&hang)?;
    for operator in [&mut one, &mut other] {
        let answer = operator.answer()?.unwrap_or_default();
        check(answer["ok"] == true, answer.to_string())?;
    }
    check(shown(&server, &authority)?.as_ref() == Some(&second.der), "it is new")?;
    server.stop()
}
