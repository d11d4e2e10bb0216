//! What an API server answers only now and then: conflicts, lists that it has forgotten. `tests/e2e` asks a real one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use chains_cluster::kube::Client;
use chains_cluster::kube::client::Body;
use chains_cluster::retry::{Found, Outcome, Selection, State, find, start};
use chains_core::ErrorKind;
use http::{Request, Response};
use serde_json::{Value, json};

/// What is asked for: method, path and query; then status and body of the answer.
type Exchange = (&'static str, u16, Value);

const GROUPS: &str = "GET /apis?";
const TASK_RUNS: &str = "GET /apis/tekton.dev/v1/namespaces/ci/taskruns?&limit=200";
const PIPELINE_RUNS: &str = "GET /apis/tekton.dev/v1/namespaces/ci/pipelineruns?&limit=200";
const READ: &str = "GET /apis/tekton.dev/v1/namespaces/ci/taskruns/build";
const PATCH: &str = "PATCH /apis/tekton.dev/v1/namespaces/ci/taskruns/build?&fieldManager=chains";

/// A client whose requests must be these, in this order.
struct Script {
    client: Client,
    left: Arc<Mutex<VecDeque<Exchange>>>,
    patches: Arc<Mutex<Vec<Value>>>,
}

impl Script {
    fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let left = Arc::new(Mutex::new(exchanges.into_iter().collect::<VecDeque<_>>()));
        let patches = Arc::new(Mutex::new(Vec::new()));
        let (expected, seen) = (Arc::clone(&left), Arc::clone(&patches));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (expected, seen) = (Arc::clone(&expected), Arc::clone(&seen));
            async move {
                let asked = format!("{} {}", request.method(), request.uri());
                let (wanted, status, answer) =
                    expected.lock().unwrap().pop_front().expect("a request that was foreseen");
                assert_eq!(asked.trim_end_matches('?'), wanted.trim_end_matches('?'));
                let body = request.into_body().collect_bytes().await.unwrap();
                if wanted == PATCH {
                    seen.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                }
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                let answer = Response::builder().status(status).body(body).unwrap();
                Ok::<_, Infallible>(answer)
            }
        });
        Self { client: Client::new(service, "ci"), left, patches }
    }

    fn done(&self) {
        assert!(self.left.lock().unwrap().is_empty(), "{:?}", self.left);
    }
}

fn groups() -> Exchange {
    let v1 = json!({"groupVersion": "tekton.dev/v1", "version": "v1"});
    let group = json!({"name": "tekton.dev", "versions": [v1.clone()], "preferredVersion": v1});
    (GROUPS, 200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}))
}

fn metadata(name: &str, version: &str, annotations: Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": name, "namespace": "ci", "resourceVersion": version, "annotations": annotations,
        },
    })
}

fn failed(name: &str, version: &str) -> Value {
    metadata(name, version, json!({"chains.tekton.dev/signed": "failed"}))
}

fn list(request: &'static str, items: &[Value], next: &str) -> Exchange {
    let body = json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "9", "continue": next}, "items": items,
    });
    (request, 200, body)
}

fn refused(request: &'static str, code: u16, metadata: Value) -> Exchange {
    let reason = if code == 404 { "NotFound" } else { "Other" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": format!("answered {code}"), "reason": reason, "metadata": metadata,
    });
    (request, code, status)
}

fn everything() -> Selection {
    Selection::Matching { namespace: Some("ci".to_owned()), labels: None }
}

async fn found(script: &Script) -> Vec<String> {
    let found = find(&script.client, &everything(), |_| {}).await.unwrap();
    found.into_iter().map(|run| run.unwrap().to_string()).collect()
}

#[tokio::test]
async fn lists_come_in_pages() {
    const NEXT: &str = "GET /apis/tekton.dev/v1/namespaces/ci/taskruns?&limit=200&continue=next";
    let fresh = metadata("fresh", "1", json!({}));
    let script = Script::new([
        groups(),
        list(TASK_RUNS, &[failed("a", "1"), fresh], "next"),
        list(NEXT, &[failed("b", "2")], ""),
        list(PIPELINE_RUNS, &[failed("c", "3")], ""),
    ]);
    let mut seen = Vec::new();
    let runs = find(&script.client, &everything(), |more| seen.push(more)).await.unwrap();
    let runs: Vec<_> = runs.into_iter().map(|run| run.unwrap().to_string()).collect();
    assert_eq!(runs, ["TaskRun ci/a", "TaskRun ci/b", "PipelineRun ci/c"]);
    assert_eq!(seen, [2, 1, 1]);
    script.done();
}

#[tokio::test]
async fn a_list_that_was_forgotten_goes_on_or_begins_anew() {
    const OLD: &str = "GET /apis/tekton.dev/v1/namespaces/ci/taskruns?&limit=200&continue=old";
    const NEW: &str = "GET /apis/tekton.dev/v1/namespaces/ci/taskruns?&limit=200&continue=new";
    let script = Script::new([
        groups(),
        list(TASK_RUNS, &[failed("a", "1")], "old"),
        refused(OLD, 410, json!({"continue": "new"})),
        list(NEW, &[failed("b", "2")], ""),
        list(PIPELINE_RUNS, &[], ""),
    ]);
    assert_eq!(found(&script).await, ["TaskRun ci/a", "TaskRun ci/b"]);
    script.done();
    let script = Script::new([
        groups(),
        list(TASK_RUNS, &[failed("a", "1")], "old"),
        refused(OLD, 410, json!({})),
        list(TASK_RUNS, &[failed("a", "1"), failed("b", "2")], ""),
        list(PIPELINE_RUNS, &[], ""),
    ]);
    assert_eq!(found(&script).await, ["TaskRun ci/a", "TaskRun ci/b"]);
    script.done();
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told() {
    let script = Script::new([groups(), refused(TASK_RUNS, 403, json!({}))]);
    let error = find(&script.client, &everything(), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.report(), "listing the TaskRuns of the namespace ci: answered 403");
    let none = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []});
    let error = find(&Script::new([(GROUPS, 200, none)]).client, &everything(), |_| {}).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A run as a list had it, at version 1.
async fn listed(annotations: Value) -> Found {
    let build = metadata("build", "1", annotations);
    let script =
        Script::new([groups(), list(TASK_RUNS, &[build], ""), list(PIPELINE_RUNS, &[], "")]);
    find(&script.client, &everything(), |_| {}).await.unwrap().remove(0).unwrap()
}

/// Starts it; what came of it, and the patches that were sent.
async fn started(found: &Found, again: bool, exchanges: Vec<Exchange>) -> (Outcome, Vec<Value>) {
    let script = Script::new(exchanges);
    let outcome = start(&script.client, found, again).await.unwrap();
    script.done();
    let patches = script.patches.lock().unwrap().clone();
    (outcome, patches)
}

fn ok(version: &str) -> Exchange {
    (PATCH, 200, metadata("build", version, json!({})))
}

fn removal(version: &str, names: &[&str]) -> Value {
    let mut annotations = json!({});
    for name in names {
        annotations[format!("chains.tekton.dev/{name}")] = Value::Null;
    }
    json!({"metadata": {"resourceVersion": version, "annotations": annotations}})
}

#[tokio::test]
async fn a_run_that_others_write_is_looked_at_anew() {
    let run = listed(json!({"chains.tekton.dev/signed": "failed"})).await;
    let now = json!({"chains.tekton.dev/signed": "failed", "chains.tekton.dev/reason": "x"});
    let exchanges =
        vec![refused(PATCH, 409, json!({})), (READ, 200, metadata("build", "2", now)), ok("3")];
    let (outcome, patches) = started(&run, false, exchanges).await;
    assert_eq!(outcome, Outcome::Started);
    assert_eq!(patches, [removal("1", &["signed"]), removal("2", &["signed", "reason"])]);
}

#[tokio::test]
async fn what_happened_meanwhile_counts() {
    let run = listed(json!({"chains.tekton.dev/signed": "failed"})).await;
    let conflict = || refused(PATCH, 409, json!({}));
    let signed = (READ, 200, metadata("build", "2", json!({"chains.tekton.dev/signed": "true"})));
    let (outcome, _) = started(&run, false, vec![conflict(), signed.clone()]).await;
    assert_eq!(outcome, Outcome::Left(State::Signed));
    let (outcome, _) = started(&run, true, vec![conflict(), signed, ok("3")]).await;
    assert_eq!(outcome, Outcome::Started);
    let (outcome, _) = started(&run, false, vec![refused(PATCH, 404, json!({}))]).await;
    assert_eq!(outcome, Outcome::Gone);
    let gone = vec![conflict(), refused(READ, 404, json!({}))];
    assert_eq!(started(&run, false, gone).await.0, Outcome::Gone);
}

#[tokio::test]
async fn it_is_given_up_where_others_write_all_the_time() {
    let run = listed(json!({"chains.tekton.dev/retries": "1"})).await;
    let now = json!({"chains.tekton.dev/retries": "1"});
    let one = [refused(PATCH, 409, json!({})), (READ, 200, metadata("build", "1", now))];
    let script = Script::new(std::iter::repeat_n(one, 8).flatten());
    let error = start(&script.client, &run, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    script.done();
}
