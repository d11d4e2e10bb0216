//! The level of the log, as the ConfigMap `config-logging` has it.
//!
//! The first of these that is there counts: `loglevel.watcher`, which is what the reference obeys;
//! `loglevel.controller`, unless it is the `info` that every installation comes with; the `level` in
//! `zap-logger-config`; `info`.

use std::collections::BTreeMap;

use tracing::Level;

const KEYS: [&str; 2] = ["loglevel.watcher", "loglevel.controller"];
const ZAP: &str = "zap-logger-config";

/// The level, and what could not be understood.
pub(super) fn level(data: &BTreeMap<String, String>) -> (Level, Vec<String>) {
    let mut faults = Vec::new();
    let mut read = |key: &str, text: &str| {
        let level = parse(text);
        if level.is_none() && !text.trim().is_empty() {
            faults.push(format!(
                "`{key}`: {:?} is no level",
                text.chars().take(40).collect::<String>()
            ));
        }
        level
    };
    let [watcher, controller] = KEYS.map(|key| data.get(key).and_then(|text| read(key, text)));
    let zap = data.get(ZAP).and_then(|text| match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => {
            object.get("level")?.as_str().and_then(|text| read(ZAP, text))
        }
        _ => read(ZAP, "not an object in JSON"),
    });
    let controller = controller.filter(|level| *level != Level::INFO);
    (watcher.or(controller).or(zap).unwrap_or(Level::INFO), faults)
}

/// A level of zap, or one of ours.
fn parse(text: &str) -> Option<Level> {
    match text.trim().to_ascii_lowercase().as_str() {
        "trace" => Some(Level::TRACE),
        "debug" => Some(Level::DEBUG),
        "info" => Some(Level::INFO),
        "warn" | "warning" => Some(Level::WARN),
        "error" | "dpanic" | "panic" | "fatal" => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: &[(&str, &str)], expect: Level, faults: &[&str]) {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
        assert_eq!(level(&data), (expect, faults), "{data:?}");
    }

    #[test]
    fn the_first_that_says_something_counts() {
        check(&[], Level::INFO, &[]);
        check(
            &[("loglevel.watcher", "debug"), ("loglevel.controller", "error")],
            Level::DEBUG,
            &[],
        );
        check(&[("loglevel.controller", "WARN"), (ZAP, r#"{"level": "debug"}"#)], Level::WARN, &[]);
        check(
            &[("loglevel.controller", "info"), (ZAP, r#"{"level": "debug"}"#)],
            Level::DEBUG,
            &[],
        );
        check(&[("loglevel.watcher", "info"), (ZAP, r#"{"level": "debug"}"#)], Level::INFO, &[]);
        check(&[("loglevel.controller", ""), (ZAP, r#"{"level": "fatal"}"#)], Level::ERROR, &[]);
        check(&[(ZAP, "{}")], Level::INFO, &[]);
        check(&[("loglevel.webhook", "debug"), ("_example", "x")], Level::INFO, &[]);
    }

    #[test]
    fn what_is_no_level_is_told() {
        let loud = "`loglevel.watcher`: \"loud\" is no level";
        check(&[("loglevel.watcher", "loud"), (ZAP, r#"{"level": "warn"}"#)], Level::WARN, &[loud]);
        let zap = "`zap-logger-config`: \"not an object in JSON\" is no level";
        check(&[(ZAP, "level: debug")], Level::INFO, &[zap]);
    }
}
