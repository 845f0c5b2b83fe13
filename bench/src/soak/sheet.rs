//! What the scenarios found: rows of a table, each with a target that was met or missed.

use std::fmt::Display;
use std::io::Write;

use ostler_testkit::TestError;

/// Whether a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target was met.
    Met,
    /// The target was missed.
    Missed,
    /// There is no target; the figure is told.
    Told,
}

/// One figure of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The scenario.
    pub scenario: &'static str,
    /// What was counted or measured.
    pub counted: String,
    /// The figure.
    pub measured: String,
    /// What it should be.
    pub target: String,
    /// Whether it is.
    pub verdict: Verdict,
}

/// Collects rows and says each one at once.
pub(super) struct Sheet<'a> {
    scenario: &'static str,
    rows: Vec<Row>,
    progress: &'a mut dyn Write,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(progress: &'a mut dyn Write) -> Self {
        Self { scenario: "", rows: Vec::new(), progress }
    }

    pub(super) fn begin(&mut self, scenario: &'static str) {
        self.scenario = scenario;
        self.say(format_args!("{scenario}"));
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// A line for whoever watches.
    pub(super) fn say(&mut self, text: impl Display) {
        // Nobody watches: then nobody misses it.
        _ = writeln!(self.progress, "soak: {text}");
    }

    fn row(&mut self, counted: &str, measured: String, target: String, verdict: Verdict) {
        let word = match verdict {
            Verdict::Met => "ok",
            Verdict::Missed => "MISSED",
            Verdict::Told => "",
        };
        self.say(format_args!("  {counted}: {measured} ({target}) {word}"));
        let (scenario, counted) = (self.scenario, counted.to_owned());
        self.rows.push(Row { scenario, counted, measured, target, verdict });
    }

    /// A figure with its target.
    pub(super) fn check(&mut self, counted: &str, measured: String, target: String, met: bool) {
        let verdict = if met { Verdict::Met } else { Verdict::Missed };
        self.row(counted, measured, target, verdict);
    }

    /// A figure without a target.
    pub(super) fn told(&mut self, counted: &str, measured: impl Display) {
        self.row(counted, measured.to_string(), "-".to_owned(), Verdict::Told);
    }

    /// Something that must not happen.
    pub(super) fn none(&mut self, counted: &str, count: u64) {
        self.check(counted, count.to_string(), "0".to_owned(), count == 0);
    }

    /// Something that must happen so often.
    pub(super) fn at_least(&mut self, counted: &str, count: u64, least: u64) {
        self.check(counted, count.to_string(), format!(">= {least}"), count >= least);
    }

    /// A figure with one decimal and an upper limit.
    pub(super) fn at_most(&mut self, counted: &str, value: f64, most: f64, unit: &str) {
        let met = value <= most;
        self.check(counted, format!("{value:.1} {unit}"), format!("<= {most:.0} {unit}"), met);
    }

    /// A share, with its lower limit, both as fractions of one.
    pub(super) fn share_at_least(&mut self, counted: &str, share: f64, least: f64) {
        let (measured, target) = (share * 100.0, least * 100.0);
        let met = share >= least;
        self.check(counted, format!("{measured:.0} %"), format!(">= {target:.0} %"), met);
    }

    /// The scenario could not go on, or its server did not end well.
    pub(super) fn broke_off(&mut self, error: &TestError) {
        let text = error.to_string();
        self.say(&text);
        let mut lines = text.lines().map(|line| line.trim_start_matches([' ', '-']));
        let mut short = lines.next().unwrap_or_default().to_owned();
        // A line that announces others says nothing without the first of them.
        while short.ends_with(':')
            && let Some(line) = lines.next()
        {
            short = format!("{short} {line}");
        }
        self.row("whole scenario", short, "comes to its end".to_owned(), Verdict::Missed);
    }
}

/// All rows as a table of aligned columns.
pub fn table(rows: &[Row]) -> String {
    let head = ["scenario", "counted", "measured", "target", "verdict"].map(str::to_owned);
    let mut lines = vec![head];
    let mut scenario = "";
    for row in rows {
        // Named once, so that the eye finds where it begins.
        let name = if row.scenario == scenario { "" } else { row.scenario };
        scenario = row.scenario;
        let verdict = match row.verdict {
            Verdict::Met => "ok",
            Verdict::Missed => "MISSED",
            Verdict::Told => "",
        };
        let cells = [name, &row.counted, &row.measured, &row.target, verdict];
        lines.push(cells.map(str::to_owned));
    }
    let mut widths = [0; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        text.push_str(padded.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_judged_and_columns_aligned() {
        let mut said = Vec::new();
        let mut sheet = Sheet::new(&mut said);
        sheet.begin("tea");
        sheet.none("spilled", 0);
        sheet.at_least("cups", 3, 4);
        sheet.at_most("brewing", 50.04, 50.0, "ms");
        sheet.share_at_least("still warm", 0.6, 0.6);
        sheet.told("guests", 7);
        sheet.broke_off(&TestError::new("alas:\n- the pot broke\nand the log is long"));
        let rows = sheet.into_rows();
        let verdicts: Vec<Verdict> = rows.iter().map(|row| row.verdict).collect();
        use Verdict::{Met, Missed, Told};
        assert_eq!(verdicts, [Met, Missed, Missed, Met, Told, Missed]);
        let table = table(&rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 7);
        assert!(lines[1].starts_with("tea ") && lines[2].starts_with("    "), "{table}");
        assert_eq!(lines[1].find("0"), lines[2].find("3"), "{table}");
        assert!(lines[6].contains("alas: the pot broke") && !table.contains("the log"), "{table}");
        assert!(String::from_utf8(said).unwrap().lines().count() >= 7);
    }
}
