//! The load must count right on a right server, and name the fault of a faulty one.

use std::time::Duration;

use ostler_testkit::{LoadReport, TestResult};

use crate::fake;

/// Runs 300 requests against a handler. One at a time on four connections, so that one package is
/// one request.
fn report(handler: &str) -> TestResult<LoadReport> {
    let server = fake().handler(handler).start()?;
    let load = server.load().connections(4).requests(300).patience(Duration::from_millis(300));
    let report = load.start()?.finish()?;
    server.stop()?;
    let LoadReport { sent, answered, wrong, lost, cut, .. } = report;
    assert_eq!(sent, answered + wrong + lost + cut, "{report}");
    Ok(report)
}

#[test]
fn a_right_server_gets_a_perfect_report() -> TestResult {
    let server = fake().start()?;
    let load = server.load().connections(20).depth(8).bytes(24, 20_000).requests(5_000).start()?;
    let report = load.finish()?;
    report.check_perfect()?;
    assert_eq!((report.sent, report.answered, report.connected), (5_000, 5_000, 20));
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.accepted, books.closed), (20, 20));
    Ok(())
}

#[test]
fn a_load_runs_until_it_is_stopped() -> TestResult {
    let server = fake().start()?;
    let load = server.load().depth(2).start()?;
    load.wait_for_more(500)?;
    load.wait_for_more(500)?;
    let report = load.stop()?;
    report.check_perfect()?;
    assert!(report.answered >= 1_000);
    server.stop()
}

#[test]
fn swallowed_requests_are_lost() -> TestResult {
    let report = report("swallow_every:100")?;
    assert_eq!(report.lost, 3, "{report}");
    assert!(report.check_honest().is_err());
    Ok(())
}

#[test]
fn a_silent_connection_is_given_up_and_replaced() -> TestResult {
    let server = fake().handler("swallow_every:40").start()?;
    // One connection, deep: a swallowed package holds one request or several, followed by others or
    // by silence.
    let load = server.load().connections(1).depth(4).requests(400);
    let report = load.patience(Duration::from_millis(100)).start()?.finish()?;
    assert!(report.lost >= 2, "{report}");
    assert_eq!((report.sent, report.sent), (400, report.answered + report.lost), "{report}");
    server.stop()
}

#[test]
fn doubled_replies_are_counted() -> TestResult {
    let report = report("double_every:30")?;
    assert_eq!((report.duplicated, report.answered), (10, 300), "{report}");
    assert!(report.check_honest().is_err());
    Ok(())
}

#[test]
fn falsified_replies_are_wrong() -> TestResult {
    let report = report("falsify_every:100")?;
    assert_eq!(report.wrong, 3, "{report}");
    assert!(report.check_honest().is_err());
    Ok(())
}

#[test]
fn garbage_is_wrong_and_ends_the_connection() -> TestResult {
    let report = report("garbage_every:100")?;
    assert_eq!((report.wrong, report.stray), (3, 0), "{report}");
    Ok(())
}

#[test]
fn closed_connections_are_counted_and_not_called_lost() -> TestResult {
    let report = report("close_every:100")?;
    assert_eq!((report.closed_early, report.cut, report.lost), (3, 3, 0), "{report}");
    report.check_honest()?;
    assert!(report.check_perfect().is_err());
    Ok(())
}

#[test]
fn resets_are_counted() -> TestResult {
    let report = report("reset_every:100")?;
    assert_eq!((report.reset, report.cut, report.lost), (3, 3, 0), "{report}");
    report.check_honest()
}

#[test]
fn a_load_outlives_its_server() -> TestResult {
    let server = fake().start()?;
    let load = server.load().connections(4).start()?;
    load.wait_for_more(50)?;
    server.abandon();
    ostler_testkit::wait_until("refused connections", || load.so_far().connect_failed > 0)?;
    let report = load.stop()?;
    report.check_honest()?;
    assert!(report.closed_early + report.reset >= 4, "{report}");
    Ok(())
}
