//! How are the results shown, and what do they come to?

use crate::{
    checker::Breaks,
    scenarios::{Faults, Outcome, Report},
};

const HEAD: [&str; 11] = [
    "scenario",
    "result",
    "faults",
    "accepted",
    "received",
    "in doubt twice",
    "lost",
    "resurrected",
    "repeated",
    "over-sent",
    "else",
];

/// One scenario's name, end and seconds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) outcome: anyhow::Result<Outcome>,
    pub(crate) seconds: u64,
}

/// The table and, below it, the line that sums it up.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![[HEAD.map(str::to_owned).to_vec(), vec!["seconds".to_owned()]].concat()];
    lines.extend(rows.iter().map(cells));
    let columns = lines[0].len();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Words to the left, numbers to the right.
            let padded = if column < 3 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
            text.push_str(&padded);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text.push_str(&sum(rows));
    text
}

fn cells(row: &Row) -> Vec<String> {
    let (result, report) = match &row.outcome {
        Ok(Outcome::Passed(report)) => ("ok", Some(report)),
        Ok(Outcome::Failed(report, _)) => ("FAILED", Some(report)),
        Ok(Outcome::Skipped(_)) => ("SKIPPED", None),
        Err(_) => ("FAILED", None),
    };
    let mut cells = vec![row.name.to_owned(), result.to_owned()];
    match report {
        Some(Report { faults, acknowledged, received, duplicates, breaks, .. }) => {
            let Breaks { lost, resurrected, repeated, over_sent, others } = breaks;
            cells.push(faults.to_string());
            let numbers = [acknowledged, received, duplicates, lost, resurrected, repeated, over_sent, others];
            cells.extend(numbers.map(ToString::to_string));
        }
        None => cells.extend((0..9).map(|_| "-".to_owned())),
    }
    cells.push(row.seconds.to_string());
    cells
}

fn sum(rows: &[Row]) -> String {
    let (mut faults, mut breaks) = (Faults::default(), Breaks::default());
    for row in rows {
        let Ok(Outcome::Passed(report) | Outcome::Failed(report, _)) = &row.outcome else { continue };
        faults.kills += report.faults.kills;
        faults.cuts += report.faults.cuts;
        breaks.lost += report.breaks.lost;
        breaks.resurrected += report.breaks.resurrected;
        breaks.repeated += report.breaks.repeated;
        breaks.over_sent += report.breaks.over_sent;
        breaks.others += report.breaks.others;
    }
    let Breaks { lost, resurrected, repeated, over_sent, others } = breaks;
    format!(
        "{} SIGKILLs and {} power cuts: lost {lost}, resurrected {resurrected}, duplicates outside the in-doubt window \
         {repeated}, quota over-sends {over_sent}, other breaks {others}",
        faults.kills, faults.cuts
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts_every_scenario_that_ran() {
        let report = |kills, cuts, lost| Report {
            line: String::new(),
            faults: Faults { kills, cuts, others: "" },
            acknowledged: 7,
            received: 6,
            duplicates: 1,
            breaks: Breaks { lost, ..Breaks::default() },
        };
        let row = |name, outcome| Row { name, outcome: Ok(outcome), seconds: 3 };
        let rows = [
            row("kill-open", Outcome::Passed(report(20, 0, 0))),
            row("power-cut", Outcome::Failed(report(0, 5, 2), Vec::new())),
            row("disk-full", Outcome::Skipped("no root".to_owned())),
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[1].starts_with("kill-open  ok       20 kills"), "{text}");
        assert!(lines[4].starts_with("20 SIGKILLs and 5 power cuts: lost 2, resurrected 0,"), "{text}");
    }
}
