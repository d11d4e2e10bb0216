//! Files of every kind, also broken ones: what is read, and in which words the rest is refused.

use chains_core::ErrorKind;
use chains_tekton::read::read_documents;

/// What must come of a document: the run's name, or a part of the error.
enum Expect {
    Run(&'static str),
    Broken(&'static str),
    Other(&'static str),
}
use Expect::{Broken, Other, Run};

fn check(input: impl AsRef<[u8]>, expect: &[Expect]) {
    let found = read_documents(input.as_ref());
    let shown: Vec<_> = found
        .iter()
        .map(|run| match run {
            Ok(run) => run.reference().to_string(),
            Err(error) => format!("{}: {}", error.kind(), error.report()),
        })
        .collect();
    assert_eq!(found.len(), expect.len(), "{shown:#?}");
    for ((found, shown), expect) in found.iter().zip(&shown).zip(expect) {
        let kind = found.as_ref().err().map(chains_core::Error::kind);
        let (wanted, part) = match expect {
            Run(part) => (None, part),
            Broken(part) => (Some(ErrorKind::InvalidInput), part),
            Other(part) => (Some(ErrorKind::Unsupported), part),
        };
        assert_eq!(kind, wanted, "{shown}");
        assert!(shown.contains(part), "{shown:?} does not contain {part:?}");
    }
}

fn json(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"{name}","uid":"u-{name}"}}}}"#
    )
}

fn yaml(name: &str) -> String {
    format!("apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata:\n  name: {name}\n  uid: u\n")
}

#[test]
fn one_document() {
    check(json("a"), &[Run("TaskRun a")]);
    check(yaml("a"), &[Run("TaskRun a")]);
    check(format!("\u{feff}{}", yaml("a")), &[Run("TaskRun a")]);
    check(format!("{}\n", yaml("a").replace('\n', "\r\n")), &[Run("TaskRun a")]);
    check(
        "{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: a, uid: b}}",
        &[Run("TaskRun a")],
    );
    check(json("a").replace("TaskRun", "PipelineRun"), &[Run("PipelineRun a")]);
    check(json("a").replace("/v1", "/v1beta1"), &[Run("TaskRun a")]);
}

#[test]
fn nothing_at_all() {
    check("", &[]);
    check("\n \n", &[]);
    check("---\n# a comment\n---\n...\n", &[]);
    check("null", &[]);
    check("[]", &[]);
}

#[test]
fn several_documents() {
    let two = [Run("TaskRun a"), Run("TaskRun b")];
    check(format!("{}---\n{}", yaml("a"), yaml("b")), &two);
    check(format!("%YAML 1.2\n---\n{}...\n--- # next\r\n{}---\n", yaml("a"), yaml("b")), &two);
    check(format!("{}\n{}\n", json("a"), json("b")), &two);
    check(format!("{}{}", json("a"), json("b")), &two);
    check(format!("{}\n---\n{}", json("a"), yaml("b")), &two);
    check(format!("[{},{}]", json("a"), json("b")), &two);
    check(format!("- {}\n- {}\n", json("a"), json("b")), &two);
}

#[test]
fn lists() {
    let list = |kind: &str, version: &str, items: &str| {
        format!(r#"{{"apiVersion":"{version}","kind":"{kind}","items":{items}}}"#)
    };
    let two = [Run("TaskRun a"), Run("TaskRun b")];
    check(list("List", "v1", &format!("[{},{}]", json("a"), json("b"))), &two);
    // The API server leaves kind and version out of the items of its own lists.
    let bare = r#"[{"metadata":{"name":"a","uid":"1"}},{"metadata":{"name":"b","uid":"2"}}]"#;
    check(list("TaskRunList", "tekton.dev/v1", bare), &two);
    check(
        list("PipelineRunList", "tekton.dev/v1beta1", bare),
        &[Run("PipelineRun a"), Run("PipelineRun b")],
    );
    check(list("List", "v1", "null"), &[]);
    check(list("List", "v1", "[]"), &[]);
    check(
        list("List", "v1", "5"),
        &[Broken("document 1, line 1: items: expected an array, found a number")],
    );
    check(
        list("List", "v1", &format!(r#"[{},5,{{"kind":"Secret"}},{}]"#, json("a"), json("b"))),
        &[
            Run("TaskRun a"),
            Broken("document 1, line 1, items[1]: a run is a JSON object, not a number"),
            Broken("document 1, line 1, items[2]: the document has no apiVersion"),
            Run("TaskRun b"),
        ],
    );
}

#[test]
fn other_kinds_are_named() {
    let other = |version: &str, kind: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: x\n")
    };
    check(
        other("v1", "ConfigMap"),
        &[Other("ConfigMap \"x\" is neither a TaskRun nor a PipelineRun")],
    );
    check(other("tekton.dev/v1", "Task"), &[Other("Task \"x\" of tekton.dev is neither")]);
    check(other("example.com/v1", "TaskRun"), &[Other("TaskRun \"x\" of example.com is neither")]);
    check(other("tekton.dev/v1alpha1", "TaskRun"), &[Other("known versions are v1, v1beta1")]);
    check(
        other("tekton.dev/v1beta1", "CustomRun"),
        &[Other("CustomRun \"x\" of tekton.dev is neither")],
    );
}

#[test]
fn a_fault_does_not_reach_the_next_document() {
    check(
        format!("{}---\na: b: c\n---\n{}---\nx: [1\n---\n{}", yaml("a"), yaml("b"), yaml("c")),
        &[
            Run("TaskRun a"),
            Broken(
                "document 2, line 6: reading YAML: mapping values are not allowed in this context at line 7",
            ),
            Run("TaskRun b"),
            Broken("document 4, line 14: reading YAML: unclosed bracket '[' at line 15"),
            Run("TaskRun c"),
        ],
    );
    check(
        format!("{}\n{{\"a\": tru}}\n{}\n  {{\"b\" 1}}\n{}\n", json("a"), json("b"), json("c")),
        &[
            Run("TaskRun a"),
            Broken("document 2, line 2: reading JSON at line 2, column 10: expected ident"),
            Run("TaskRun b"),
            Broken("document 4, line 4: reading JSON at line 4, column 8: expected `:`"),
            Run("TaskRun c"),
        ],
    );
    check(
        [yaml("a").as_bytes(), b"---\na: \xff\n---\n", yaml("b").as_bytes()].concat(),
        &[
            Run("TaskRun a"),
            Broken("document 2, line 6: reading YAML: not UTF-8 at line 7, column 4"),
            Run("TaskRun b"),
        ],
    );
    check(
        b"{\"a\":\"\xff\"}",
        &[Broken("reading JSON at line 1, column 7: invalid unicode code point")],
    );
}

#[test]
fn faults_name_the_field() {
    let with = |part: &str| {
        format!(
            "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {{name: a, namespace: n, uid: u}}\n{part}\n"
        )
    };
    check(with("spec: 5"), &[Broken("TaskRun \"a\": spec: expected an object, found a number")]);
    check(with("status: []"), &[Broken("status: expected an object, found an array")]);
    check(
        with("status: {steps: [{name: x}, {name: 7}]}"),
        &[Broken("status.steps[1].name: expected a string, found a number")],
    );
    check(
        with("status: {results: {a: b}}"),
        &[Broken("status.results: expected an array of objects, found an object")],
    );
    check(
        with("status: {results: [5]}"),
        &[Broken("status.results[0]: expected an object, found a number")],
    );
    check(
        with("status: {taskSpec: {steps: [{args: [a, {}]}]}}"),
        &[Broken("status.taskSpec.steps[0].args[1]: expected a string, found an object")],
    );
    check(
        with("status: {provenance: {refSource: {digest: {sha1: []}}}}"),
        &[Broken("status.provenance.refSource.digest.sha1: expected a string, found an array")],
    );
    check(
        with("status: {completionTime: yesterday}"),
        &[Broken("status.completionTime: \"yesterday\" is not a time as in RFC 3339")],
    );
    check("kind: TaskRun", &[Broken("the document has no apiVersion")]);
    check("apiVersion: tekton.dev/v1", &[Broken("the document has no kind")]);
    check(
        "apiVersion: 1\nkind: TaskRun",
        &[Broken("apiVersion: expected a string, found a number")],
    );
    check("hello", &[Broken("a run is a JSON object, not a string")]);
}

#[test]
fn a_run_has_a_name_and_a_uid() {
    let with = |metadata: &str| {
        format!("apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {metadata}\n")
    };
    check(with("{}"), &[Broken("PipelineRun without metadata.name")]);
    check(with("~"), &[Broken("PipelineRun without metadata.name")]);
    check(with("{generateName: a-}"), &[Broken("PipelineRun without metadata.name")]);
    check(
        with("{name: a}"),
        &[Broken("PipelineRun without metadata.uid: only a run that a cluster ran has one")],
    );
    check(with("{name: a, uid: 5}"), &[Broken("metadata.uid: expected a string, found a number")]);
    check(
        with("{name: ../../etc, uid: u}"),
        &[Broken("metadata.name \"../../etc\" is not a name")],
    );
    check(with("{name: a, uid: ../u}"), &[Broken("metadata.uid \"../u\" is not a name")]);
    check(
        with("{name: a, uid: u, namespace: a/b}"),
        &[Broken("metadata.namespace \"a/b\" is not a name")],
    );
    check(with("{name: a, uid: u, namespace: ''}"), &[Run("PipelineRun a")]);
}

#[test]
fn hostile_files() {
    check("[".repeat(1 << 20), &[Broken("recursion limit exceeded")]);
    check("{\"a\":".repeat(1 << 20), &[Broken("recursion limit exceeded")]);
    check(format!("a: {}", "[".repeat(1 << 16)), &[Broken("recursion limit exceeded")]);
    check("- ".repeat(1 << 16), &[Broken("too large or too complex")]);
    check("? ".repeat(1 << 16), &[Broken("too large or too complex")]);
    let steps: String = (0..1_000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    check(steps, &[Broken("too large or too complex")]);
    check("a: .inf", &[Broken("not a finite number")]);
    check("{\"a\": 1e999}", &[Broken("number out of range")]);
    check("a: 1\na: 2", &[Broken("duplicate mapping key `a`")]);
    check("a: *nowhere", &[Broken("reference to unknown value")]);

    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..30 {
        let below = level - 1;
        laughs.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{below}"); 9].join(",")
        ));
    }
    check(laughs, &[Broken("too large or too complex")]);
}

#[test]
fn nobody_reads_a_million_faults() {
    for text in ["{\n", "[\n", "{}\n", "---\na: [\n"] {
        let found = read_documents(text.repeat(100_000).as_bytes());
        assert_eq!(found.len(), 1_001, "{text:?}");
        let last = found.last().and_then(|run| run.as_ref().err()).expect("the last is a fault");
        assert!(last.report().contains("not read after 1000 faults"), "{}", last.report());
    }
    let found = read_documents(format!("[{}5]", "5,".repeat(100_000)).as_bytes());
    assert_eq!(found.len(), 1_001);
}

/// A dump of a cluster: what is no run does not hide the runs behind it.
#[test]
fn other_kinds_are_no_faults() {
    let pods =
        |count: usize| vec![r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#; count];
    let check = |text: String, told: usize, more: Option<&str>| {
        let found = read_documents(text.as_bytes());
        let runs: Vec<_> = found.iter().flatten().map(|run| run.reference().to_string()).collect();
        assert_eq!(runs, ["TaskRun a"]);
        let errors: Vec<_> = found.iter().filter_map(|run| run.as_ref().err()).collect();
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unsupported));
        assert_eq!(errors.len(), told);
        let last = errors.last().map(|error| error.report()).unwrap_or_default();
        assert_eq!(more.is_some(), last.contains("more objects"), "{last}");
        assert_eq!(last.contains("more objects"), more == Some(last.as_str()), "{last}");
    };
    let list = |count: usize| {
        format!(
            r#"{{"apiVersion":"v1","kind":"List","items":[{},{}]}}"#,
            pods(count).join(","),
            json("a")
        )
    };
    check(list(1_000), 1_000, None);
    let more = Some("4000 more objects that are no runs, beyond 1000");
    check(list(5_000), 1_001, more);
    check(format!("{}\n{}", pods(5_000).join("\n"), json("a")), 1_001, more);
    check(format!("{}\n---\n{}", pods(5_000).join("\n---\n"), yaml("a")), 1_001, more);
}

/// What is quoted from a document stays on its line and leaves a terminal alone.
#[test]
fn hostile_text_in_errors() {
    let evil = "\u{1b}[2J\u{9b}x\r\n\u{202e}\u{200b}";
    let long = "é".repeat(100_000);
    for text in [evil, &long] {
        let quoted = serde_json::Value::from(text).to_string();
        let document = |version: &str, kind: &str, rest: &str| {
            format!(
                r#"{{"apiVersion":{version},"kind":{kind},"metadata":{{"name":"a","uid":"u"}}{rest}}}"#
            )
        };
        let (v1, task) = (r#""tekton.dev/v1""#, r#""TaskRun""#);
        let inside = |part: &str| {
            let part = part.replace("TEXT", &quoted);
            document(v1, task, &format!(",{part}"))
        };
        let cases = [
            document(v1, &quoted, ""),
            document(&quoted, task, ""),
            document(&format!(r#""{}/v1""#, quoted.trim_matches('"')), task, ""),
            document(&format!(r#""tekton.dev/{}""#, quoted.trim_matches('"')), task, ""),
            document(v1, r#""Task""#, "").replace(r#""a""#, &quoted),
            document(v1, task, "").replace(r#""a""#, &quoted),
            document(v1, task, "").replace(r#""u""#, &quoted),
            inside(r#""spec":5"#).replace(r#""a""#, &quoted),
            inside(r#""status":{"provenance":{"refSource":{"digest":{TEXT:5}}}}"#),
            inside(r#""status":{"startTime":TEXT}"#),
            inside(r#""status":{"taskRuns":{TEXT:{"status":{"steps":5}}}}"#)
                .replace("TaskRun\"", "PipelineRun\"")
                .replace("/v1", "/v1beta1"),
            format!("? {quoted}\n: 1\n? {quoted}\n: 2\n"),
            format!("a: *x{}", text.replace(['[', '\n', '\r'], "")),
        ];
        for case in cases {
            let found = read_documents(case.as_bytes());
            let report = found[0].as_ref().expect_err(&case).report();
            let odd = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{200b}');
            assert!(!report.contains(odd) && report.len() < 1_000, "{report:?}");
        }
    }
    let parent = r#"{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"a","uid":"u"},
        "status":{"childReferences":[{"kind":"\u001bRun","name":"\n"}]}}"#;
    let parent = read_documents(parent.as_bytes()).remove(0).expect("it can be read");
    let missing = parent.missing_children()[0].to_string();
    assert!(missing.starts_with(r#""\u{1b}Run" "\n" is run by"#), "{missing}");
}

#[test]
fn ten_mebibytes() {
    let value = "x".repeat(10 << 20);
    let long = json("a").replace(
        "}}",
        &format!(r#"}},"status":{{"results":[{{"name":"r","value":"{value}"}}]}}}}"#),
    );
    check(&long, &[Run("TaskRun a")]);
    let many: String = (0..2_000).map(|index| json(&format!("run-{index}")) + "\n").collect();
    assert_eq!(read_documents(many.as_bytes()).iter().filter(|run| run.is_ok()).count(), 2_000);
}
