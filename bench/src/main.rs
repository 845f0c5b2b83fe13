//! `ostler-bench`: see `ostler-bench --help`.

mod args;

use std::io::Write;
use std::process::ExitCode;

use args::Command;
use ostler_bench::load::{LoadOptions, Progress};
use ostler_bench::soak::{SoakOptions, Verdict};
use ostler_bench::table::TableOptions;
use ostler_bench::{Error, Result, baseline, broadcast, demo, load, process, soak, table};

/// The bench ran, and what it measured was wrong.
const FAULTY: u8 = 1;
/// The bench could not run.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ostler-bench: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run() -> Result<ExitCode> {
    let bench = std::env::current_exe().map_err(Error::system("find this program"))?;
    match args::parse(std::env::args_os().skip(1), bench)? {
        Command::Help => print(args::HELP),
        Command::Serve { baseline, listen, identity } => {
            match baseline::serve(baseline, listen, identity.as_ref())? {}
        }
        Command::Launch { cpu, command } => match process::launch(cpu, &command)? {},
        Command::Load(options) => run_load(&options),
        Command::Table(options) => run_table(&options),
        Command::Soak(options) => run_soak(&options),
        Command::Broadcast(options) => {
            let costs = broadcast::run(&options)?;
            print(&broadcast::report(&options, &costs))
        }
        Command::Demo(options) => {
            let good = demo::run(&options, &mut std::io::stdout())?;
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FAULTY) })
        }
    }
}

fn print(text: &str) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).map_err(Error::system("write to stdout"))?;
    Ok(ExitCode::SUCCESS)
}

fn run_load(options: &LoadOptions) -> Result<ExitCode> {
    let report = load::run(options, &Progress::default(), &mut ())?;
    print(&format!("{report}\n"))?;
    let good = report.troubles.is_clean() && report.completed > 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FAULTY) })
}

fn run_soak(options: &SoakOptions) -> Result<ExitCode> {
    let rows = soak::run(options, &mut std::io::stderr())?;
    print(&format!("\n{}", soak::table(&rows)))?;
    let missed = rows.iter().filter(|row| row.verdict == Verdict::Missed).count();
    if missed > 0 {
        eprintln!("soak: {missed} targets were missed");
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAULTY) })
}

fn run_table(options: &TableOptions) -> Result<ExitCode> {
    let outcome = table::run(options, &mut std::io::stderr())?;
    print(&format!(
        "\nCPU ratio and rate ratio: median over {} rounds of (peer / raw echo in the same \
         round). {} connections, \
         closed loop,\n{} ms per measurement. CPU of the whole process tree. Others: CPU of this \
         machine ({} CPUs) \
         used by neither\nserver nor client. *: over fewer than 100 000 requests in a round.\n\n{}",
        options.rounds,
        options.connections,
        options.duration_ms,
        process::machine_busy()?.cpus,
        outcome.text()
    ))?;
    eprintln!("note: {} targets missed", outcome.missed());
    if outcome.disturbed() > 0 {
        eprintln!(
            "note: {} rows were disturbed by other processes (> 10 % of the machine, up to \
             {:.0} %): they are no ground for a decision",
            outcome.disturbed(),
            outcome.others() * 100.0
        );
    }
    if options.rounds < 7 {
        eprintln!("note: fewer than 7 rounds are no ground for a decision");
    }
    for fault in &outcome.faults {
        eprintln!("FAULT {fault}");
    }
    Ok(if outcome.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAULTY) })
}
