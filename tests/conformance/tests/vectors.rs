//! What the Go release answers for 854 recorded runs, ours must answer too.

use std::io::Write as _;

use chains_conformance::{choose, compare, vectors};
use chains_formats::jsonl;
use serde_json::Value;

#[test]
fn recorded_vectors_agree() {
    let Some(path) = vectors::path() else {
        loudly(&format!(
            "SKIPPED: no recorded vectors here; {} names the file to compare with",
            vectors::VARIABLE
        ));
        return;
    };
    let text = std::fs::read_to_string(&path).expect("the file with the vectors can be read");
    let mut report = Vec::new();
    let mut cases = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        cases += 1;
        let case: Value = serde_json::from_str(line).expect("a vector is JSON");
        let answer = jsonl::to_line(&jsonl::answer(line.as_bytes(), choose));
        let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
        let differences = compare::differences(&case["expected"], &answer);
        if !differences.is_empty() {
            let shown: Vec<_> =
                differences.iter().take(8).map(|line| format!("\n    {line}")).collect();
            report.push(format!(
                "{}: {} differences{}",
                case["name"],
                differences.len(),
                shown.concat()
            ));
        }
    }
    assert_eq!(cases, vectors::COUNT, "{} is not the recorded set", path.display());
    loudly(&format!("{} of {cases} recorded vectors agree", cases - report.len()));
    assert!(
        report.is_empty(),
        "{} of {cases} vectors do not agree:\n{}",
        report.len(),
        report.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// Says it even where the output of tests that pass is not shown.
fn loudly(message: &str) {
    let _ = writeln!(std::io::stderr(), "\n{message}");
}
