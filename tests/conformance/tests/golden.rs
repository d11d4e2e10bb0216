//! The golden set: what is made of a run today is, byte for byte, what was made of it when somebody looked.

use std::fmt::Write as _;

use chains_conformance::{choose, golden};
use chains_formats::jsonl;

fn answer(line: &str) -> Vec<u8> {
    jsonl::to_line(&jsonl::answer(line.as_bytes(), choose))
}

#[test]
fn golden_set_is_unchanged() {
    let bless = std::env::var_os(golden::BLESS).is_some();
    let mut report = String::new();
    let mut count = 0;
    for family in golden::families() {
        count += family.cases.len();
        let answers: Vec<String> = family
            .cases
            .iter()
            .map(|case| String::from_utf8(answer(&case.line)))
            .collect::<Result<_, _>>()
            .expect("an answer is UTF-8");
        if bless {
            std::fs::write(&family.answers, answers.join("\n") + "\n")
                .expect("answers can be written");
            continue;
        }
        let recorded = std::fs::read_to_string(&family.answers).unwrap_or_default();
        let recorded: Vec<&str> = recorded.lines().collect();
        for (index, (case, answer)) in family.cases.iter().zip(&answers).enumerate() {
            let expected = recorded.get(index).copied().unwrap_or("nothing");
            if expected != answer {
                let _ =
                    write!(report, "\n{}\n  expected {expected}\n  found    {answer}", case.name);
            }
        }
        if recorded.len() > answers.len() {
            let _ = write!(
                report,
                "\n{}: answers to more cases than there are",
                family.answers.display()
            );
        }
    }
    assert!(count >= 100, "only {count} cases: where is the golden set?");
    assert!(
        report.is_empty(),
        "payloads have changed; where that is meant, run this test again with {}=1 and look at the \
         difference:{report}",
        golden::BLESS
    );
}

/// Each answer is JSON, and says something.
#[test]
fn golden_answers_are_json() {
    for case in golden::families().iter().flat_map(|family| &family.cases) {
        let answer = answer(&case.line);
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("an answer is JSON");
        let says = answer["error"].is_string() || answer["payloads"].is_array();
        assert!(says, "{}: {answer}", case.name);
    }
}
