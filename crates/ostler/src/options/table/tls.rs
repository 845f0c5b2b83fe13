//! TLS: what the clients of a port are shown, and what they have to show.

use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::{field, port_field};
use crate::options::{ClientAuth, TlsVersion, UnknownName};

const TOPIC: &str = "TLS";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "tls_certificate",
        topic: TOPIC,
        kind: Kind::Paths,
        default: "",
        unit: "",
        why: "There is none that everybody has; a port of `tls://` needs one.",
        effect: "PEM files, each with a certificate and the chain to its authority, for ports of \
                 `tls://`. A client is shown the one that has the name that it asks for (SNI), \
                 `*.example.org` included, and the first one if it asks for none. Read at start, \
                 at each reload, and when they change (tls_watch): new connections see a new file, \
                 and one that is not right is told in the log while the old one is served on.",
        access: port_field!(tls_certificate),
    },
    OptionInfo {
        name: "tls_key",
        topic: TOPIC,
        kind: Kind::Paths,
        default: "",
        unit: "",
        why: "A certificate and its key are often one file; then this stays empty.",
        effect: "PEM files with the private keys of tls_certificate, in the same order, not \
                 encrypted. Only the master reads them, after all other processes were forked.",
        access: port_field!(tls_key),
    },
    OptionInfo {
        name: "tls_ocsp",
        topic: TOPIC,
        kind: Kind::Paths,
        default: "",
        unit: "",
        why: "Few authorities still offer it, and something has to renew the file.",
        effect: "Files with the OCSP responses (DER) for tls_certificate, in the same order, that \
                 clients are shown with it. Read again as tls_certificate is.",
        access: port_field!(tls_ocsp),
    },
    OptionInfo {
        name: "tls_client_ca",
        topic: TOPIC,
        kind: Kind::Paths,
        default: "",
        unit: "",
        why: "Clients have no certificates unless somebody gives them some.",
        effect: "PEM files with the authorities whose certificates clients may show, and \
                 directories of such. Of a directory those files count whose names end in .pem, \
                 .crt or .cer, or are such as `openssl rehash` makes, and in which there is a \
                 certificate. Read again as tls_certificate is.",
        access: port_field!(tls_client_ca),
    },
    OptionInfo {
        name: "tls_client_auth",
        topic: TOPIC,
        kind: Kind::Choice(ClientAuth::WORDS),
        default: "off",
        unit: "",
        why: "It needs tls_client_ca.",
        effect: "Whether clients show certificates: off, they are not asked; optional, they may \
                 have none, but not a wrong one; required, without one there is no session.",
        access: port_field!(tls_client_auth),
    },
    OptionInfo {
        name: "tls_client_chain_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: 1024, max: 32 * 1024 },
        default: "16K",
        unit: "bytes",
        why: "A certificate has one to two KiB, and few authorities stand between it and one that \
              is known. Sessions that are taken up carry it all in their tickets.",
        effect: "Most bytes of all certificates that one client shows; who shows more is refused \
                 in the handshake. So much at most is told by Session::tls.",
        access: port_field!(tls_client_chain_max),
    },
    OptionInfo {
        name: "tls_alpn",
        topic: TOPIC,
        kind: Kind::Protocols,
        default: "",
        unit: "",
        why: "Most protocols have a port of their own and no need to be named.",
        effect: "Protocols that the port speaks, the best first, as ALPN names them (`h2`, \
                 `mqtt`). A client that names others only gets no session.",
        access: port_field!(tls_alpn),
    },
    OptionInfo {
        name: "tls_min_version",
        topic: TOPIC,
        kind: Kind::Choice(TlsVersion::WORDS),
        default: "1.2",
        unit: "",
        why: "1.2 with the ciphers that are left in it is safe, and some devices know no other.",
        effect: "The oldest version of TLS that is spoken; the newest is 1.3.",
        access: port_field!(tls_min_version),
    },
    OptionInfo {
        name: "tls_tickets",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "true",
        unit: "",
        why: "A handshake that takes up an earlier session costs a third. The key of the tickets \
              is in the master's memory only, and is another one every six hours.",
        effect: "Whether clients may take up their sessions again with a ticket.",
        access: port_field!(tls_tickets),
    },
    OptionInfo {
        name: "tls_unknown_name",
        topic: TOPIC,
        kind: Kind::Choice(UnknownName::WORDS),
        default: "first",
        unit: "",
        why: "The client sees that the name is wrong, and says so better than an alert would.",
        effect: "What a client is shown that asks for a name of which there is no certificate: \
                 the first certificate, or (refuse) nothing: its handshake fails.",
        access: port_field!(tls_unknown_name),
    },
    OptionInfo {
        name: "tls_watch",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "true",
        unit: "",
        why: "Certificates are renewed by tools that know nothing of this server, and one that \
              nobody told of it ends with the old certificate. Only files that are right and \
              belong together are taken. Off: only a reload reads them.",
        effect: "The files of tls_certificate, tls_key, tls_ocsp and tls_client_ca are read when \
                 they, or links on the way to them, have changed and were quiet for a second. New \
                 connections are shown what is right; what is not is told once (WARN), and the old \
                 one is served on. File systems that tell of no changes (network) need a reload.",
        access: field!(tls_watch),
    },
    OptionInfo {
        name: "handshake_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 600_000 },
        default: "10000",
        unit: "milliseconds",
        why: "A handshake takes two round trips; even over a bad link that is a few seconds.",
        effect: "How long a client may take until its session begins, over all ports: the header \
                 of its proxy (proxy_protocol) and the handshake of TLS together; then it is \
                 disconnected.",
        access: field!(handshake_timeout_ms),
    },
];
