//! Rows as an aligned table.

use super::summary::{Row, Spread};

const HEAD: [&str; 14] = [
    "payload",
    "load",
    "place",
    "peer",
    "requests/s",
    "CPU us/req",
    "CPU ratio",
    "(min-max)",
    "rate ratio",
    "p50 us",
    "p99 us",
    "p99 ratio",
    "others",
    "target",
];
/// Columns of text; the others are numbers and end on the right.
const TEXT: [usize; 4] = [1, 2, 3, 13];
/// A 99th percentile over fewer requests than this is marked.
pub(super) const PERCENTILE_MIN_REQUESTS: f64 = 100_000.0;

fn cells(row: &Row) -> [String; 14] {
    let mark = if row.requests.median < PERCENTILE_MIN_REQUESTS { "*" } else { "" };
    let Spread { median, min, max } = row.cpu_ratio;
    [
        payload(row.size_bytes),
        row.load.to_owned(),
        row.placement.to_string(),
        row.peer.clone(),
        format!("{:.0}", row.requests_per_s.median),
        format!("{:.2}", row.cpu_us.median),
        format!("{median:.2}"),
        format!("({min:.2}-{max:.2})"),
        format!("{:.2}", row.throughput_ratio.median),
        format!("{:.0}", row.p50_us.median),
        format!("{:.0}{mark}", row.p99_us.median),
        format!("{:.2}", row.p99_ratio.median),
        format!("{:.0} %", row.others.median * 100.0),
        row.outcome(),
    ]
}

fn payload(size_bytes: usize) -> String {
    if size_bytes >= 1024 && size_bytes.is_multiple_of(1024) {
        format!("{} KiB", size_bytes / 1024)
    } else {
        format!("{size_bytes} B")
    }
}

/// The table, one line per row, each group of a case set apart.
pub(super) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; HEAD.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    let mut group = None;
    for (number, line) in lines.iter().enumerate() {
        let own = number.checked_sub(1).and_then(|row| rows.get(row));
        let own = own.map(|row| (row.load, row.size_bytes, row.placement));
        if own != group {
            text.push('\n');
            group = own;
        }
        let mut padded = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let cell = if TEXT.contains(&column) {
                format!("{cell:<width$}  ")
            } else {
                format!("{cell:>width$}  ")
            };
            padded.push_str(&cell);
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::case::tests::case;
    use super::super::summary::tests::row;
    use super::super::target::Target;
    use super::*;

    #[test]
    fn a_percentile_over_few_requests_is_marked() {
        let few = row(1.0, 1.0, 1.0);
        let spread = Spread { median: 100_000.0, ..few.requests };
        let many = Row { requests: spread, ..few.clone() };
        assert!(cells(&few)[10].ends_with('*') && !cells(&many)[10].contains('*'));
    }

    #[test]
    fn columns_are_aligned_and_groups_set_apart() {
        let like = |size_bytes, peer: &str| Row {
            load: "64 x 1",
            size_bytes,
            peer: peer.to_owned(),
            target: Target::of(&case("", 64), "ostler"),
            ..row(1.0, 1.0, 1.0)
        };
        let text = table(&[like(64, "raw"), like(64, "a-long-name"), like(65_536, "raw")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines[1].is_empty() && lines[4].is_empty());
        assert!(lines[5].trim_start().starts_with("64 KiB  64 x 1  free"));
        assert!([lines[2], lines[3]].iter().all(|line| line.len() == lines[5].len()));
        assert_eq!(lines[0].find("target"), lines[2].find("CPU <="), "the last column");
    }
}
