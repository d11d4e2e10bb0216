//! Compares what is signed with what a run makes, leaving aside what may differ.
//!
//! | left aside | because |
//! |---|---|
//! | labels and annotations of runs | they change after a run is over, not least by what is kept there |
//! | order of subjects, materials, dependencies, by-products | other implementations order them by chance |
//! | layout of JSON within `content` | the same |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Lists whose order does not count.
const UNORDERED: [&str; 4] = ["/subject", MATERIALS, DEPENDENCIES, BYPRODUCTS];
const MATERIALS: &str = "/predicate/materials";
const DEPENDENCIES: &str = "/predicate/buildDefinition/resolvedDependencies";
const BYPRODUCTS: &str = "/predicate/runDetails/byproducts";
/// What v0.2 tells about the tasks of a PipelineRun.
const BUILD_CONFIG: &str = "/predicate/buildConfig";

/// Metadata of a run that changes after it is over.
const VOLATILE: [&str; 8] = [
    "annotations",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "labels",
    "managedFields",
    "resourceVersion",
];

/// Longest place that is told.
const LONGEST: usize = 120;

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// What a PipelineRun makes without its TaskRuns: they may add to lists, and are the whole of a build config.
    WithoutChildren,
}

/// The places where the signed document is not the one that was made, in order.
pub(crate) fn differences(signed: &Value, made: &Value, extent: Extent) -> Vec<String> {
    let mut found = Differences { extent, places: Vec::new() };
    found.compare(&normal(signed), &normal(made), "");
    found.places
}

struct Differences {
    extent: Extent,
    places: Vec<String>,
}

impl Differences {
    fn compare(&mut self, signed: &Value, made: &Value, at: &str) {
        if self.extent == Extent::WithoutChildren && at == BUILD_CONFIG {
            return;
        }
        if UNORDERED.contains(&at) {
            if !self.same_list(signed, made, at) {
                self.differs(at);
            }
            return;
        }
        match (signed, made) {
            (Value::Object(signed), Value::Object(made)) => self.compare_members(signed, made, at),
            (Value::Array(signed), Value::Array(made)) if signed.len() == made.len() => {
                for (index, (signed, made)) in signed.iter().zip(made).enumerate() {
                    self.compare(signed, made, &format!("{at}/{index}"));
                }
            }
            _ if signed == made => {}
            _ => self.differs(at),
        }
    }

    fn compare_members(
        &mut self,
        signed: &Map<String, Value>,
        made: &Map<String, Value>,
        at: &str,
    ) {
        const NONE: &Value = &Value::Null;
        let more = made.keys().filter(|key| !signed.contains_key(*key));
        for key in signed.keys().chain(more) {
            let at = format!("{at}/{key}");
            match (signed.get(key), made.get(key)) {
                (Some(signed), Some(made)) => self.compare(signed, made, &at),
                // An empty list is left out.
                (signed, made) if UNORDERED.contains(&at.as_str()) => {
                    self.compare(signed.unwrap_or(NONE), made.unwrap_or(NONE), &at);
                }
                _ => self.differs(&at),
            }
        }
    }

    fn same_list(&self, signed: &Value, made: &Value, at: &str) -> bool {
        let list = |value: &Value| match value {
            Value::Array(list) => Some(list.clone()),
            Value::Null => Some(Vec::new()),
            _ => None,
        };
        let (Some(mut signed), Some(made)) = (list(signed), list(made)) else {
            return signed == made;
        };
        if self.extent == Extent::WithoutChildren {
            return made.iter().all(|made| signed.iter().any(|signed| holds(signed, made, at)));
        }
        // Each item is matched by one of its own.
        signed.len() == made.len()
            && made.iter().all(|made| {
                let same = signed.iter().position(|signed| signed == made);
                same.is_some_and(|same| {
                    signed.swap_remove(same);
                    true
                })
            })
    }

    fn differs(&mut self, at: &str) {
        let place = at.trim_start_matches('/').replace('/', ".");
        self.places.push(match place.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &place[..end]),
            None => place,
        });
    }
}

/// Whether an item that was made is in this one: what a TaskRun used too may have another name and more digests.
fn holds(signed: &Value, made: &Value, at: &str) -> bool {
    if ![MATERIALS, DEPENDENCIES].contains(&at) {
        return signed == made;
    }
    let digests = |item: &Value| item["digest"].as_object().cloned().unwrap_or_default();
    let there = digests(signed);
    signed["uri"] == made["uri"]
        && signed["content"] == made["content"]
        && digests(made).iter().all(|(algorithm, hex)| there.get(algorithm) == Some(hex))
}

/// The document without what is left aside.
fn normal(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(invocation) = document.pointer_mut("/predicate/invocation") {
        remove(invocation, &["environment"]);
    }
    for task in items(&mut document, "/predicate/buildConfig/tasks") {
        if let Some(invocation) = task.get_mut("invocation") {
            remove(invocation, &["environment"]);
        }
    }
    if let Some(internal) = document.pointer_mut("/predicate/buildDefinition/internalParameters") {
        remove(internal, &["labels", "annotations"]);
    }
    for dependency in items(&mut document, DEPENDENCIES) {
        decode(dependency);
        if let Some(metadata) = dependency.pointer_mut("/content/metadata") {
            remove(metadata, &VOLATILE);
        }
    }
    items(&mut document, BYPRODUCTS).for_each(decode);
    document
}

fn items<'a>(document: &'a mut Value, at: &str) -> impl Iterator<Item = &'a mut Value> {
    document.pointer_mut(at).and_then(Value::as_array_mut).into_iter().flatten()
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

/// The JSON within `content`; what is none stays as it is.
fn decode(descriptor: &mut Value) {
    let Some(content) = descriptor.get_mut("content") else { return };
    let bytes = content.as_str().and_then(|text| STANDARD.decode(text).ok());
    if let Some(json) = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        *content = json;
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use super::Extent::{Whole, WithoutChildren};
    use super::{Extent, differences};

    fn check(signed: &Value, made: &Value, extent: Extent, expected: &[&str]) {
        assert_eq!(differences(signed, made, extent), expected, "{signed} and {made}");
    }

    fn content(json: &str) -> Value {
        json!({"name": "pipelineTask", "content": STANDARD.encode(json)})
    }

    fn v1(dependencies: &Value, byproducts: &Value) -> Value {
        json!({"predicate": {
            "buildDefinition": {"resolvedDependencies": dependencies},
            "runDetails": {"byproducts": byproducts},
        }})
    }

    #[test]
    fn order_counts_where_it_means_something() {
        let of = |list: Value| json!({"subject": list, "predicate": {"materials": list}});
        check(&of(json!([1, 2, 2])), &of(json!([2, 1, 2])), Whole, &[]);
        let both = ["predicate.materials", "subject"];
        check(&of(json!([1, 2, 2])), &of(json!([1, 1, 2])), Whole, &both);
        check(&of(json!([1, 2])), &of(json!([1])), Whole, &both);
        check(&json!({"subject": []}), &json!({}), Whole, &[]);
        check(&json!({"subject": [1]}), &json!({}), Whole, &["subject"]);
        check(&json!({"subject": "x"}), &json!({"subject": []}), Whole, &["subject"]);
        let steps = |list: Value| json!({"predicate": {"buildConfig": {"steps": list}}});
        let place = "predicate.buildConfig.steps.0";
        check(&steps(json!([1, 2])), &steps(json!([3, 2])), Whole, &[place]);
    }

    #[test]
    fn what_changes_after_the_run_is_left_aside() {
        let of = |label: &str| {
            json!({"predicate": {
                "invocation": {"environment": {"labels": {"a": label}}, "parameters": {}},
                "buildConfig": {"tasks": [{"invocation": {"environment": label}}]},
                "buildDefinition": {"internalParameters": {"labels": label, "flags": {}}},
            }})
        };
        check(&of("x"), &of("y"), Whole, &[]);
        let parameter = json!({"predicate": {"invocation": {"parameters": {"labels": "x"}}}});
        let other = json!({"predicate": {"invocation": {"parameters": {"labels": "y"}}}});
        check(&parameter, &other, Whole, &["predicate.invocation.parameters.labels"]);
    }

    #[test]
    fn content_is_compared_as_what_it_is() {
        let run = |metadata: &str, spec: &str| {
            let task = format!("{{\"metadata\": {{\"name\":\"a\"{metadata}}},\"spec\":{spec}}}");
            v1(&json!([content(&task)]), &json!([]))
        };
        check(&run("", "{\"a\":1,\"b\":2}"), &run("", "{\"b\":2, \"a\":1}"), Whole, &[]);
        check(&run(",\"labels\":{},\"resourceVersion\":\"7\"", "{}"), &run("", "{}"), Whole, &[]);
        let place = ["predicate.buildDefinition.resolvedDependencies"];
        check(&run(",\"uid\":\"7\"", "{}"), &run("", "{}"), Whole, &place);
        check(&run("", "{\"a\":1}"), &run("", "{}"), Whole, &place);
        // A result may hold anything: nothing of it is left aside.
        let result = |label: &str| {
            v1(
                &json!([]),
                &json!([content(&format!("{{\"metadata\":{{\"labels\":\"{label}\"}}}}"))]),
            )
        };
        check(&result("x"), &result("y"), Whole, &["predicate.runDetails.byproducts"]);
    }

    #[test]
    fn task_runs_that_are_not_at_hand_may_have_added_to_lists() {
        let dependency =
            |name: &str, digest: Value| json!({"name": name, "uri": "u", "digest": digest});
        let signed = v1(
            &json!([{"uri": "more"}, dependency("task", json!({"sha1": "a", "sha256": "b"}))]),
            &json!([1, 2]),
        );
        let made = v1(&json!([dependency("inputs/result", json!({"sha1": "a"}))]), &json!([2]));
        check(&signed, &made, WithoutChildren, &[]);
        let place = ["predicate.buildDefinition.resolvedDependencies"];
        let other = v1(&json!([dependency("task", json!({"sha1": "c"}))]), &json!([2]));
        check(&signed, &other, WithoutChildren, &place);
        let tasks =
            |tasks: Value| json!({"subject": [1], "predicate": {"buildConfig": {"tasks": tasks}}});
        check(&tasks(json!([1])), &tasks(json!([])), WithoutChildren, &[]);
        check(
            &tasks(json!([1])),
            &json!({"subject": [2]}),
            WithoutChildren,
            &["predicate", "subject"],
        );
    }
}
