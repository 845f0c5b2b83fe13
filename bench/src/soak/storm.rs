//! A storm of packages that kill their workers: what somebody waits whom they do not concern.
//!
//! One client after another sends a package that kills the worker that takes it, as fast as they
//! can connect. Two others ask all the time: one that was served before the storm, and a stranger
//! that comes anew for each question.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler_testkit::{Client, TestError, TestResult};

use super::sheet::Sheet;
use super::stage::{Stage, end};

/// What kills a worker.
const FATAL: &[u8] = b"fatal";
const CRASHING: usize = 300;
const WORKERS: usize = 2;
/// What is promised to a client that was served before.
const WAIT_MAX_MS: f64 = 500.0;

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (rounds, crashing) = stage.pick((5, CRASHING), (1, CRASHING / 10));
    for reactors in [1, 2] {
        let mut waits = Waits::default();
        for _ in 0..rounds {
            let seen = one_round(stage, sheet, reactors, crashing)?;
            sheet.say(format_args!(
                "  {reactors} reactors: sent in {} ms, over after {} ms, longest wait {} ms, of a \
                 stranger {} ms",
                seen.sent_after.as_millis(),
                seen.over_after.as_millis(),
                seen.known.as_millis(),
                seen.stranger.as_millis()
            ));
            waits = waits.longer(&seen);
        }
        let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
        let what = format!("{rounds} storms, {reactors} reactors: longest wait");
        sheet.at_most(&what, ms(waits.known), WAIT_MAX_MS, "ms");
        sheet.told("of a stranger", format_args!("{:.1} ms", ms(waits.stranger)));
        sheet.told("all packages sent after", format_args!("{:.1} ms", ms(waits.sent_after)));
        sheet.told("storm over after", format_args!("{:.1} ms", ms(waits.over_after)));
    }
    Ok(())
}

/// The longest times of a storm, or of several.
#[derive(Default)]
struct Waits {
    known: Duration,
    stranger: Duration,
    sent_after: Duration,
    over_after: Duration,
}

impl Waits {
    fn longer(&self, other: &Self) -> Self {
        Self {
            known: self.known.max(other.known),
            stranger: self.stranger.max(other.stranger),
            sent_after: self.sent_after.max(other.sent_after),
            over_after: self.over_after.max(other.over_after),
        }
    }
}

fn one_round(
    stage: &Stage,
    sheet: &mut Sheet<'_>,
    reactors: u16,
    crashing: usize,
) -> TestResult<Waits> {
    let victim = stage.victim().handler("crash_on:fatal").set("workers", WORKERS);
    let server = victim.set("reactors", reactors).start()?;
    let address = server.address();
    let mut known = Client::connect(address)?;
    ask(&mut known)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let asking = [
        asker(&is_over, move || ask(&mut known)),
        asker(&is_over, move || ask(&mut Client::connect(address)?)),
    ];
    let begun = Instant::now();
    let storm = blow(address, crashing);
    let sent_after = begun.elapsed();
    let storm =
        storm.and_then(|mut clients| clients.iter_mut().try_for_each(Client::expect_closed));
    let over_after = begun.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let [known, stranger] = asking.map(|asker| {
        asker.join().unwrap_or_else(|_| Err(TestError::new("an honest client panicked")))
    });
    storm?;
    let waits = Waits { known: known?, stranger: stranger?, sent_after, over_after };
    let books = end(server, sheet)?.books()?;
    sheet.none(
        "clients of the storm not told",
        (crashing as u64).saturating_sub(books.detail("closed_worker_died")),
    );
    Ok(waits)
}

/// Clients that each send one package that kills.
fn blow(address: SocketAddr, count: usize) -> TestResult<Vec<Client>> {
    let sent = |_| {
        let mut client = Client::connect(address)?;
        client.send(FATAL)?;
        Ok(client)
    };
    (0..count).map(sent).collect()
}

fn ask(client: &mut Client) -> TestResult {
    client.send(b"well?")?;
    client.expect(b"well?")
}

/// Asks until it is over; answers how long it took at most.
fn asker(
    is_over: &Arc<AtomicBool>,
    mut ask: impl FnMut() -> TestResult + Send + 'static,
) -> JoinHandle<TestResult<Duration>> {
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        let mut longest = Duration::ZERO;
        while !is_over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            ask()?;
            longest = longest.max(asked.elapsed());
        }
        Ok(longest)
    })
}
