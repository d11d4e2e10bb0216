//! What came out, with the goals beside.

use crate::{bare::Bare, steady::Steady};

/// What a measurement is to come to: so many times something else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    factor: f64,
    base: f64,
    at_least: bool,
}

impl Goal {
    /// At most `factor` times `base`.
    pub(crate) const fn at_most(factor: f64, base: f64) -> Self {
        Self { factor, base, at_least: false }
    }

    /// At least `factor` times `base`.
    pub(crate) const fn at_least(factor: f64, base: f64) -> Self {
        Self { factor, base, at_least: true }
    }
}

/// Rows as they come.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<String>,
    missed: usize,
}

impl Table {
    /// A line at the top.
    pub(crate) fn head(&mut self, line: String) {
        self.lines.push(line);
    }

    /// What the next rows are about.
    pub(crate) fn section(&mut self, about: &str) {
        self.lines.push(format!("\n{about}"));
    }

    /// A measurement.
    pub(crate) fn row(&mut self, what: &str, measured: f64, unit: &str, goal: Option<Goal>) {
        let mut line = format!("  {what:<42} {measured:>9.2} {unit:<3}");
        if let Some(goal) = goal {
            let ratio = measured / goal.base;
            let sign = if goal.at_least { '≥' } else { '≤' };
            let met = if goal.at_least { ratio >= goal.factor } else { ratio <= goal.factor };
            line += &format!(
                "  {ratio:>6.2} × {:<7.2} goal {sign} {:.1} ×{}",
                goal.base,
                goal.factor,
                if met { "" } else { "  missed" }
            );
            self.missed += usize::from(!met);
        }
        self.lines.push(line);
    }

    /// Times from completion to signed.
    pub(crate) fn latencies(&mut self, steady: &Steady, lone: &Bare) {
        let trip = lone.millis(50);
        let what = |percent| format!("completion to signed, p{percent}");
        self.row(&what(50), steady.millis(50), "ms", Some(Goal::at_most(2.0, trip)));
        self.row(&what(95), steady.millis(95), "ms", Some(Goal::at_most(4.0, trip)));
        self.row(&what(99), steady.millis(99), "ms", None);
        self.row("runs", steady.count() as f64, "", None);
        self.note(format!("the slowest: {}", steady.slowest));
    }

    /// Words.
    pub(crate) fn note(&mut self, text: String) {
        self.lines.push(format!("  {text}"));
    }

    pub(crate) fn print(&self) {
        for line in &self.lines {
            println!("{line}");
        }
        println!("\n{} goals missed", self.missed);
    }
}
