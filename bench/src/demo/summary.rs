//! What the show comes to: what was noticed, and what the server's books say.

use std::io::Write;

use ostler_testkit::{Books, TestResult};

use crate::load::LoadReport;

pub(super) fn tell_clients(out: &mut dyn Write, report: &LoadReport) -> TestResult {
    let troubles = &report.troubles;
    let noticed = if troubles.is_clean() {
        "nothing: no connection lost, no request lost, no reply twice, no wrong byte".to_owned()
    } else {
        format!("{troubles}")
    };
    writeln!(out, "Noticed by clients:    {noticed}")?;
    let (median, most) = (report.latency_us(0.5) / 1e3, report.latency_us(1.0) / 1e3);
    writeln!(
        out,
        "Requests answered:     {} (median {median:.2} ms, longest {most:.0} ms)",
        report.completed
    )?;
    Ok(())
}

pub(super) fn tell_books(out: &mut dyn Write, books: &Books) -> TestResult {
    let Books { accepted, open, closed, received, finished, dropped, closed_by, .. } = books;
    writeln!(
        out,
        "The server's books:    {accepted} connections = {open} open + {closed} closed;\n\
         \u{20}                      {received} packages = {finished} finished + {dropped} \
         dropped + {closed_by} closed on"
    )?;
    Ok(())
}

/// Whether the show had what it is for: requests that a killed worker had in hand and another one
/// answered.
pub(super) fn tell_redelivered(out: &mut dyn Write, redelivered: u64) -> TestResult<bool> {
    if redelivered == 0 {
        writeln!(out, "Delivered again:       none: no kill hit a worker with a request in hand")?;
        return Ok(false);
    }
    writeln!(
        out,
        "Delivered again:       {redelivered} requests that a killed worker had in hand; another \
         one answered them"
    )?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_without_a_redelivery_is_no_demo() {
        let mut out = Vec::new();
        assert!(!tell_redelivered(&mut out, 0).unwrap());
        assert!(tell_redelivered(&mut out, 47).unwrap());
        assert!(String::from_utf8(out).unwrap().contains("47 requests"));
    }
}
