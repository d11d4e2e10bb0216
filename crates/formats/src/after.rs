//! Which tasks of a pipeline a task ran after.

use std::collections::HashSet;

use chains_tekton::types::PipelineTask;

/// The tasks that it names in `runAfter`, then those whose results it uses, in the order in which it uses them.
pub(crate) fn of(task: PipelineTask<'_>) -> Vec<&str> {
    let mut after: Vec<&str> = task.run_after().collect();
    let mut seen: HashSet<&str> = after.iter().copied().collect();
    task.visit_expressions(&mut |text| {
        each_result_task(text, &mut |name| {
            if seen.insert(name) {
                after.push(name);
            }
        });
    });
    after
}

/// Finds `$(tasks.NAME.results.RESULT)` with or without an index or a key behind, also of `finally` tasks.
fn each_result_task<'a>(text: &'a str, visit: &mut dyn FnMut(&'a str)) {
    for (at, _) in text.match_indices("$(") {
        let Some(variable) = text.get(at + 2..).and_then(variable) else { continue };
        let mut parts = variable.split('.');
        let (Some("tasks" | "finally"), Some(name), Some("results")) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if matches!(parts.count(), 1 | 2) {
            visit(name);
        }
    }
}

/// The name of a variable, up to its closing parenthesis; an index at its end is not part of the name.
fn variable(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let end = text.find(|c: char| !is_name(c))?;
    let (name, rest) = text.split_at(end);
    let closed = match rest.strip_prefix('[') {
        None => rest.starts_with(')'),
        Some(index) => index.split_once("])").is_some_and(|(index, _)| {
            index == "*" || (!index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()))
        }),
    };
    (closed && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tasks_whose_results_are_used() {
        let check = |text: &str, expect: &[&str]| {
            let mut found = Vec::new();
            each_result_task(text, &mut |name| found.push(name));
            assert_eq!(found, expect, "{text}");
        };
        check("$(tasks.clone.results.commit)", &["clone"]);
        check(
            "a $(tasks.a.results.x) b $(finally.b.results.y[0]) $(tasks.c.results.z[*])",
            &["a", "b", "c"],
        );
        check("$(tasks.a.results.object.key)", &["a"]);
        check("$($(tasks.a.results.x))", &["a"]);
        check("$(tasks.a.results.x.y.z) $(tasks.a.status) $(params.x) $(tasks.a.outputs.x)", &[]);
        check(
            "$(tasks.a.results.x $(tasks.a.results.x[a]) $(tasks.a.results.x[]) $( tasks.a.results.x)",
            &[],
        );
        check("$(", &[]);
        check("", &[]);
    }
}
