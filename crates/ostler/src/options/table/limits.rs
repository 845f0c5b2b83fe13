//! Limits of what one client may take.

use ostler_core::address_deaths::DEATHS_MAX;

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::port_field;

const TOPIC: &str = "Limits";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "max_connections_per_address",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_048_576 },
        default: "0",
        unit: "connections",
        why: "0 = any number: behind one address may be a whole company, or a proxy. A limit keeps \
              one client from taking all of max_connections.",
        effect: "Most connections of one address at the port at the same time; more are reset and \
                 counted (refused_address_full). An address is one of IPv4, or a /64 of IPv6; \
                 behind proxy_protocol it is the one that the proxy names. Clients of unix sockets \
                 have none, and no limit.",
        access: port_field!(max_connections_per_address),
    },
    OptionInfo {
        name: "accept_rate",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        default: "0",
        unit: "connections a second",
        why: "0 = any number: only the operator knows what a wave of clients after a failure may \
              cost. Clients that wait are served a little later; clients that are refused come \
              again at once, and cost more.",
        effect: "Most connections that the port accepts in a second, of which those of one second \
                 are saved up. Then it rests, and who comes waits in the kernel's queue (backlog); \
                 other ports go on (accept_rests).",
        access: port_field!(accept_rate),
    },
    OptionInfo {
        name: "connection_rate_per_address",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        default: "0",
        unit: "connections a second",
        why: "0 = any number, for the reasons of max_connections_per_address. A client that \
              connects anew again and again has no connections that could be counted at a time.",
        effect: "Most connections of one address at the port in a second, of which those of one \
                 second are saved up; more are refused as the port's refusal says, and counted \
                 (refused_connection_rate). An encrypted client is told nothing: that would take \
                 the handshake that the limit is to save. Addresses are those of \
                 max_connections_per_address.",
        access: port_field!(connection_rate_per_address),
    },
    OptionInfo {
        name: "package_rate_per_address",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000_000 },
        default: "0",
        unit: "packages a second",
        why: "0 = any number: what is much depends on what a package costs, and on how many people \
              there may be behind one address.",
        effect: "Most packages that all sessions of one address may send in a second, of which \
                 those of one second are saved up; what is beyond is refused as the port's refusal \
                 says, when the answers to what came before are written, and counted \
                 (refused_package_rate). A datagram beyond it is dropped (dropped_package_rate). \
                 Addresses are those of max_connections_per_address.",
        access: port_field!(package_rate_per_address),
    },
    OptionInfo {
        name: "package_rate_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000_000 },
        default: "0",
        unit: "packages a second",
        why: "0 = any number: what is much depends on what a package costs.",
        effect: "Most packages that a session may send in a second, of which those of one second \
                 are saved up. Then it is not read for a while (held_back): nothing is lost, and \
                 the client's own sending stops.",
        access: port_field!(package_rate_max),
    },
    OptionInfo {
        name: "receive_rate_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: 1 << 30 },
        default: "0",
        unit: "bytes per second",
        why: "0 = as fast as workers take them. A limit shares a line among clients that upload.",
        effect: "Most bytes that a session may send in a second, of which those of one second are \
                 saved up; as package_rate_max. It also bounds receive_size.",
        access: port_field!(receive_rate_max),
    },
    OptionInfo {
        name: "worker_deaths_per_address",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: DEATHS_MAX as u64 },
        default: "0",
        unit: "workers",
        why: "0 = any number: behind one address may be a whole company, or a proxy, and a bug \
              that any client meets would shut it out.",
        effect: "Most workers that packages of one address may kill within a minute, at whatever \
                 port. Then its sessions at this port end (closed_address_deaths), and its \
                 connections are reset and counted (refused_address_deaths), until fewer were \
                 killed within the last minute. A crash, a panic and an exit count; what others \
                 kill, or a deadline, does not. Addresses as with max_connections_per_address. \
                 Not with mode = base.",
        access: port_field!(worker_deaths_per_address),
    },
];
