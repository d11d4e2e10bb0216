//! The two text formats of `/metrics`: OpenMetrics for those who ask for it, Prometheus' older one for all others.
//!
//! The samples are the same; what differs is what a counter is called where its type is told
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>).

/// Media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4: what the reference answers.
    Prometheus,
}

impl Exposition {
    /// What the `Accept` header asks for.
    pub(super) fn accepted(accept: &str) -> Self {
        if accept.contains(OPEN_METRICS) { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Writes what is there in OpenMetrics in this format.
    pub(super) fn write(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Prometheus => to_prometheus(&open_metrics),
        }
    }
}

/// In the older format the type of a counter is told under the name of its sample, with `_total`, and there is no
/// end mark.
fn to_prometheus(open_metrics: &str) -> String {
    let mut written = String::with_capacity(open_metrics.len() + 512);
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        let line = match line.strip_prefix("# HELP ") {
            Some(help) if lines.peek().is_some_and(|next| is_counter(next)) => {
                let (name, text) = help.split_once(' ').unwrap_or((help, ""));
                format!("# HELP {name}_total {text}")
            }
            _ if is_counter(line) => line.replacen(" counter", "_total counter", 1),
            _ => line.to_owned(),
        };
        written.push_str(&line);
        written.push('\n');
    }
    written
}

fn is_counter(line: &str) -> bool {
    line.starts_with("# TYPE ") && line.ends_with(" counter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4";
        assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("*/*"), Exposition::Prometheus);
        assert_eq!(Exposition::accepted(""), Exposition::Prometheus);
    }

    #[test]
    fn counters_are_called_by_their_samples() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"# TYPE b counter\"} 1\n# HELP g G.\n# TYPE g gauge\ng 2\n# EOF\n";
        let old = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"# TYPE b counter\"} 1\n# HELP g G.\n# TYPE g gauge\ng 2\n";
        assert_eq!(Exposition::Prometheus.write(open.to_owned()), old);
        assert_eq!(Exposition::OpenMetrics.write(open.to_owned()), open);
    }
}
