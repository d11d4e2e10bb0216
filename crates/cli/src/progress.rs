//! Progress on standard error, where work takes long and somebody looks.

use indicatif::{ProgressBar, ProgressStyle};

/// From how many things on a bar is worth its lines.
const MANY: usize = 20;

/// A bar over so many things.
pub(crate) fn bar(things: usize, what: &str) -> ProgressBar {
    if things < MANY {
        return ProgressBar::hidden();
    }
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left");
    styled(ProgressBar::new(things as u64), &template)
}

/// A number that grows, towards what nobody knows.
#[cfg(feature = "kubernetes")]
pub(crate) fn counter(what: &str) -> ProgressBar {
    let counter = styled(ProgressBar::new_spinner(), &format!("{{spinner}} {{pos}} {what}"));
    counter.enable_steady_tick(std::time::Duration::from_millis(200));
    counter
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
