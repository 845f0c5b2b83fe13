//! The rounds: every peer once per round, each round starting with another one.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use super::case::{Case, Form, Placement, Sample, measure};
use super::extra::Extra;
use super::summary::Row;
use super::text;
use crate::identity::SelfSigned;
use crate::process::{Peer, Server, allowed_cpus};
use crate::{Error, Result};

/// More than this share of the machine for others in most rounds, and a row is no ground for a
/// decision.
const DISTURBED: f64 = 0.1;

/// What the table shall show.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// The `ostler-bench` program, which launches the peers.
    pub bench: PathBuf,
    /// The peers; the first one is the reference.
    pub peers: Vec<Peer>,
    /// Ostler's instrument, for rows that need it in another shape than the peer of that name.
    pub instrument: PathBuf,
    /// The echo in PHP with one worker and one reactor, for the rows that need it.
    pub php: Option<Peer>,
    /// Request lengths.
    pub sizes_bytes: Vec<usize>,
    /// Rows beside the payloads.
    pub extras: Vec<Extra>,
    /// Rounds of each combination.
    pub rounds: usize,
    /// Length of each measurement.
    pub duration_ms: u64,
    /// Warm-up before each measurement.
    pub warmup_ms: u64,
    /// Connections.
    pub connections: u32,
    /// Measure where the scheduler puts things.
    pub free: bool,
    /// Measure with the server on one CPU and the client on another.
    pub pinned: bool,
}

/// The table and what was wrong with it.
#[derive(Debug)]
pub struct Outcome {
    /// All rows.
    pub rows: Vec<Row>,
    /// Faults of servers: wrong bytes, errors, bad ends. Empty is good.
    pub faults: Vec<String>,
}

impl Outcome {
    /// The table as text.
    pub fn text(&self) -> String {
        text::table(&self.rows)
    }

    /// Bounds that were missed, over all rows.
    pub fn missed(&self) -> usize {
        self.rows.iter().map(Row::missed).sum()
    }

    /// The most of the machine that others used in the middle round of any row.
    pub fn others(&self) -> f64 {
        self.rows.iter().map(|row| row.others.median).fold(0.0, f64::max)
    }

    /// The rows whose rounds were mostly disturbed by other processes.
    pub fn disturbed(&self) -> usize {
        self.rows.iter().filter(|row| row.others.median > DISTURBED).count()
    }
}

/// Measures everything, telling progress line by line to `progress`.
pub fn run(options: &TableOptions, progress: &mut dyn Write) -> Result<Outcome> {
    let no_rows = options.sizes_bytes.is_empty() && options.extras.is_empty();
    if options.peers.is_empty() || no_rows || options.rounds == 0 {
        return Err(Error::usage("nothing to measure: no peers, no rows, or no rounds"));
    }
    let placements = placements(options)?;
    // Better now than in the middle of the night.
    for peer in &options.peers {
        Server::start(peer, &options.bench, None)?.stop(5_000)?;
    }
    let mut outcome = Outcome { rows: Vec::new(), faults: Vec::new() };
    let usual = Case {
        load: "",
        size_bytes: 64,
        placement: Placement::Free,
        connections: options.connections,
        rate_per_s: None,
        depth: 1,
        churn: false,
        form: Form::Plain,
        warmup_ms: options.warmup_ms,
        duration_ms: options.duration_ms,
    };
    for &size_bytes in &options.sizes_bytes {
        for &placement in &placements {
            let case = Case { size_bytes, placement, ..usual };
            case_rounds(options, &options.peers, &case, &mut outcome, progress)?;
        }
    }
    let self_signed = SelfSigned::make()?;
    for extra in &options.extras {
        let identity = self_signed.identity();
        let php = options.php.as_ref();
        let peers = extra.peers(&options.peers, php, &options.bench, &options.instrument, identity);
        case_rounds(options, &peers, &extra.case(usual), &mut outcome, progress)?;
    }
    Ok(outcome)
}

fn placements(options: &TableOptions) -> Result<Vec<Placement>> {
    let mut placements = Vec::new();
    if options.free {
        placements.push(Placement::Free);
    }
    if options.pinned {
        let cpus = allowed_cpus()?;
        let (Some(&client_cpu), Some(&server_cpu)) = (cpus.first(), cpus.get(1)) else {
            return Err(Error::usage("the pinned placement needs two CPUs: use --placement free"));
        };
        placements.push(Placement::Pinned { server_cpu, client_cpu });
    }
    Ok(placements)
}

fn case_rounds(
    options: &TableOptions,
    peers: &[Peer],
    case: &Case,
    outcome: &mut Outcome,
    progress: &mut dyn Write,
) -> Result<()> {
    let mut samples: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
    for round in 0..options.rounds {
        for turn in 0..peers.len() {
            let number = (round + turn) % peers.len();
            let Some(peer) = peers.get(number) else { continue };
            let started = Instant::now();
            let sample = measure(peer, &options.bench, case)?;
            let label = format!(
                "{:>6} B {}{}{:<6} round {}/{} {:<10}",
                case.size_bytes,
                case.load,
                if case.load.is_empty() { "" } else { " " },
                case.placement,
                round + 1,
                options.rounds,
                peer.name
            );
            // Progress that cannot be shown does not spoil the numbers.
            _ = writeln!(
                progress,
                "{label} {:>9.0}/s {:>8.2} us CPU  others {:>3.0} %  ({:.1} s)",
                sample.requests_per_s,
                sample.cpu_us,
                sample.others * 100.0,
                started.elapsed().as_secs_f64()
            )
            .and_then(|()| progress.flush());
            if !sample.troubles.is_clean() {
                outcome.faults.push(format!("{label}: {}", sample.troubles));
                outcome.faults.extend(sample.troubles.faults.iter().map(ToString::to_string));
            }
            outcome.faults.extend(sample.bad_end.iter().map(|text| format!("{label}: {text}")));
            samples.entry(number).or_default().push(sample);
        }
    }
    let Some(reference) = samples.get(&0) else { return Ok(()) };
    for (number, peer) in peers.iter().enumerate() {
        let own = samples.get(&number).map(Vec::as_slice).unwrap_or_default();
        let row = Row::join(case, &peer.name, own, reference);
        outcome.rows.extend(row);
    }
    Ok(())
}
