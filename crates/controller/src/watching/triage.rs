//! Decides what is to be done with a run.

use chains_config::Filter;
use chains_core::RunKind;

use super::glance::{Glance, Mark, finalizer};

/// What is to be done with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Todo {
    /// It is none of our business, or is done.
    Nothing,
    /// It still runs: put the finalizer on, so that it is not deleted before it is signed.
    Guard,
    /// It is complete: sign it.
    Sign,
    /// Only the finalizer is left to take off.
    Release,
}

/// Decides. Pure: the same glance and filter give the same answer on every replica.
pub(crate) fn triage(kind: RunKind, run: &Glance, filter: &Filter) -> Todo {
    let release = if run.is_held(kind) { Todo::Release } else { Todo::Nothing };
    let accepted = filter.accepts(run.managed_by.as_deref());
    if !accepted || run.mark != Mark::None {
        return release;
    }
    if run.complete {
        return Todo::Sign;
    }
    if run.deleting.is_some() {
        // Tekton no longer works on a run that is being deleted: it will not complete, and nothing is to be signed.
        return release;
    }
    if run.finalizers.iter().any(|name| name == finalizer(kind)) {
        Todo::Nothing
    } else {
        Todo::Guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TaskRun of which `metadata` and `status` are given as the inside of JSON objects.
    #[track_caller]
    fn check(metadata: &str, spec: &str, status: &str, expected: Todo) {
        let json = format!(
            r#"{{"metadata":{{"name":"n","uid":"u"{metadata}}},"spec":{{{spec}}},"status":{{{status}}}}}"#
        );
        let glance = Glance::read(&json).unwrap();
        let filter = Filter { managed_by: ["kueue".to_owned()].into() };
        assert_eq!(triage(RunKind::TaskRun, &glance, &filter), expected, "{json}");
    }

    const DONE: &str = r#""conditions":[{"type":"Succeeded","status":"True"}]"#;
    const RUNNING: &str = r#""conditions":[{"type":"Succeeded","status":"Unknown"}]"#;
    const HELD: &str = r#","finalizers":["chains.tekton.dev/taskrun"]"#;
    const OLD: &str = r#","finalizers":["chains.tekton.dev"]"#;
    const DELETED: &str = r#","deletionTimestamp":"2026-01-02T03:04:05Z""#;

    fn annotated(value: &str) -> String {
        format!(r#","annotations":{{"chains.tekton.dev/signed":"{value}"}}"#)
    }

    #[test]
    fn a_run_is_guarded_then_signed() {
        check("", "", "", Todo::Guard);
        check("", "", RUNNING, Todo::Guard);
        check(OLD, "", RUNNING, Todo::Guard);
        check(HELD, "", RUNNING, Todo::Nothing);
        check("", "", DONE, Todo::Sign);
        check(HELD, "", DONE, Todo::Sign);
    }

    #[test]
    fn what_is_done_is_released() {
        check(&annotated("true"), "", DONE, Todo::Nothing);
        check(&annotated("failed"), "", DONE, Todo::Nothing);
        check(&(annotated("true") + HELD), "", DONE, Todo::Release);
        check(&(annotated("failed") + OLD), "", DONE, Todo::Release);
        check(&annotated("perhaps"), "", DONE, Todo::Sign);
    }

    #[test]
    fn deleted_runs_are_signed_if_they_came_to_an_end() {
        check(&format!("{HELD}{DELETED}"), "", DONE, Todo::Sign);
        check(&format!("{HELD}{DELETED}"), "", RUNNING, Todo::Release);
        check(DELETED, "", RUNNING, Todo::Nothing);
    }

    #[test]
    fn runs_of_other_managers_are_left_alone() {
        let kueue = r#""managedBy":"kueue""#;
        let other = r#""managedBy":"other""#;
        check("", other, DONE, Todo::Nothing);
        check(HELD, other, DONE, Todo::Release);
        check("", kueue, DONE, Todo::Sign);
        check("", r#""managedBy":"tekton.dev/pipeline""#, DONE, Todo::Sign);
    }
}
