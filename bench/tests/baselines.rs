//! The load generator against the baseline servers: bounded numbers of requests, not one fault.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking, in its helpers too"
)]

use std::path::Path;

use ostler_bench::identity::SelfSigned;
use ostler_bench::load::{LoadOptions, LoadReport, LoadThread, Mode, Progress, run};
use ostler_bench::process::{Peer, Server};

fn bench() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ostler-bench"))
}

/// Runs a load against a fresh server of each baseline for byte streams.
fn with_each(change: impl Fn(&mut LoadOptions)) -> Vec<LoadReport> {
    let self_signed = SelfSigned::make().unwrap();
    let peers = [
        Peer::raw_epoll(bench()),
        Peer::raw_epoll_threads(bench(), 2),
        Peer::tokio(bench()),
        Peer::raw_tls(bench(), self_signed.identity()),
    ];
    with_peers(&peers, change)
}

fn with_peers(peers: &[Peer], change: impl Fn(&mut LoadOptions)) -> Vec<LoadReport> {
    let reports = peers.iter().map(|peer| {
        let server = Server::start(peer, bench(), None).unwrap();
        let mut options = LoadOptions::new(server.target().clone());
        options.duration_ms = 20_000;
        options.trust = peer.trust.clone();
        change(&mut options);
        let report = run(&options, &Progress::default(), &mut ()).unwrap();
        let end = server.stop(5_000).unwrap();
        assert!(!end.forced && end.survivors == 0, "{}: {end:?}", peer.name);
        assert!(report.troubles.is_clean(), "{}: {report}", peer.name);
        assert_eq!(report.latency_ns.len(), report.completed);
        assert_eq!(report.per_second.iter().sum::<u64>(), report.completed);
        report
    });
    reports.collect()
}

fn all_answered(requests: u64, change: impl Fn(&mut LoadOptions)) {
    let reports = with_each(|options| {
        options.requests = Some(requests);
        change(options);
    });
    for report in reports {
        assert_eq!((report.begun, report.completed), (requests, requests));
    }
}

#[test]
fn closed_loop_of_every_size() {
    for size_bytes in [1, 15, 16, 17, 64, 4096, 65_536, 300_000] {
        all_answered(500, |options| {
            options.size_bytes = size_bytes;
            options.connections = 7;
        });
    }
}

#[test]
fn datagrams_of_every_size() {
    // The kernel drops what its buffer has no room for: two of the longest fit surely.
    for (size_bytes, connections) in [(1, 7), (16, 7), (64, 7), (4096, 7), (65_507, 2)] {
        let peers = [Peer::raw_udp(bench())];
        let reports = with_peers(&peers, |options| {
            options.size_bytes = size_bytes;
            options.connections = connections;
            options.requests = Some(500);
        });
        assert_eq!((reports[0].begun, reports[0].completed), (500, 500));
    }
}

#[test]
fn each_request_on_a_connection_of_its_own() {
    all_answered(3_000, |options| {
        options.churn = true;
        options.connections = 16;
    });
}

#[test]
fn pipelines_deeper_than_the_socket_buffers() {
    all_answered(3_000, |options| {
        options.connections = 3;
        options.pipeline = 100;
        options.size_bytes = 16_000;
    });
    all_answered(300, |options| {
        options.connections = 3;
        options.pipeline = 50;
        options.size_bytes = 200_000;
    });
}

#[test]
fn many_connections_and_a_warm_up_that_does_not_count() {
    all_answered(5_000, |options| {
        options.connections = 300;
        options.warmup_ms = 50;
    });
}

#[test]
fn open_loop_sends_what_is_due() {
    let reports = with_each(|options| {
        options.mode = Mode::Open { rate_per_s: 2_000.0 };
        options.pipeline = 100;
        options.connections = 9;
        options.duration_ms = 500;
        options.warmup_ms = 20;
    });
    for report in reports {
        assert!((1_000..=1_001).contains(&report.completed), "{report}");
    }
    all_answered(200, |options| {
        options.mode = Mode::Open { rate_per_s: 100_000.0 };
        options.connections = 9;
    });
}

#[test]
fn open_loop_requests_leave_on_time() {
    // A server with nothing else to do answers at once, so a high median would be the client's own
    // lateness. The machine may be busy: the best of a few tries counts.
    let medians = (0..5).flat_map(|_| {
        with_each(|options| {
            options.mode = Mode::Open { rate_per_s: 2_000.0 };
            options.connections = 4;
            options.pipeline = 100;
            options.duration_ms = 100;
        })
    });
    let best_us = medians.map(|report| report.latency_us(0.5)).fold(f64::MAX, f64::min);
    assert!(best_us < 2_000.0, "{best_us} us");
}

#[test]
fn a_load_thread_stops_when_told() {
    let server = Server::start(&Peer::raw_epoll(bench()), bench(), None).unwrap();
    let load = LoadThread::spawn(LoadOptions {
        duration_ms: 60_000,
        ..LoadOptions::new(server.target().clone())
    });
    let load = load.unwrap();
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while load.progress().completed() < 1_000 && std::time::Instant::now() < limit {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let report = load.stop().unwrap();
    assert!(report.completed >= 1_000 && report.troubles.is_clean(), "{report}");
}

#[test]
fn messages_are_received_whole_and_sent_afterwards() {
    let peer = Peer::raw_epoll_whole(bench(), 300_000);
    let server = Server::start(&peer, bench(), None).unwrap();
    let mut options = LoadOptions::new(server.target().clone());
    (options.size_bytes, options.connections) = (300_000, 7);
    (options.duration_ms, options.requests) = (20_000, Some(200));
    options.ending = b"\r\n\r\n";
    let report = run(&options, &Progress::default(), &mut ()).unwrap();
    assert!(report.troubles.is_clean() && report.completed == 200, "{report}");
    assert!(!server.stop(5_000).unwrap().forced);
}
