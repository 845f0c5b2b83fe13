//! What the kernel says of a process, read where everybody may.

use ostler_testkit::{TestError, TestResult};

/// A file of `/proc/PID`.
pub fn of_process(pid: u32, file: &str) -> TestResult<String> {
    Ok(std::fs::read_to_string(format!("/proc/{pid}/{file}"))?)
}

/// What stands behind a label in `/proc/PID/status`.
pub fn status(pid: u32, label: &str) -> TestResult<String> {
    let text = of_process(pid, "status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.map(|line| line.trim().to_owned()).ok_or_else(|| TestError::new(format!("no {label}")))
}

/// The processors on which a process may run.
pub fn allowed_cpus(pid: u32) -> TestResult<Vec<u16>> {
    let text = status(pid, "Cpus_allowed_list:")?;
    let mut found = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u16>().map_err(|_| TestError::new(text));
        found.extend(number(first)?..=number(last)?);
    }
    Ok(found)
}

/// How nice a process is.
pub fn niceness(pid: u32) -> TestResult<i32> {
    let text = of_process(pid, "stat")?;
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = fields.split_whitespace().nth(16).and_then(|field| field.parse().ok());
    field.ok_or_else(|| TestError::new(format!("no niceness in {text}")))
}

/// What the kernel adds to the score by which it chooses a victim.
pub fn oom_adjustment(pid: u32) -> TestResult<i32> {
    let text = of_process(pid, "oom_score_adj")?;
    text.trim().parse().map_err(|_| TestError::new(text))
}
