//! Users write runs: what is in them may be anything, and as large as the API server takes.

use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    cluster::Watch,
    controller::NEEDS,
    ensure, runs,
    stage::Stage,
    tekton::{Namespace, names},
};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("controller_hostile::odd_ones_stop_no_other", &NEEDS, odd),
        case("controller_hostile::large_ones_stop_no_other", &NEEDS, large),
    ]
}

fn builds(prefix: &str, count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| runs::kaniko(&format!("{prefix}-{n}"), "registry.test/app", DIGEST))
        .collect()
}

/// So many lists, each in the other.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| json!([inner]))
}

fn odd(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let oddities: [fn(&mut Value); 12] = [
        |run| run["status"]["results"] = json!("not a list"),
        |run| {
            run["status"]["taskSpec"] = json!([1, 2, 3]);
            run["status"]["startTime"] = json!("yesterday");
        },
        |run| run["spec"] = json!({ "params": { "not": ["a", "list"] } }),
        |run| run["status"]["steps"] = json!({ "0": null }),
        |run| run["spec"]["params"][0]["value"] = nested(90),
        |run| run["status"]["results"][0]["value"] = nested(90),
        |run| run["status"]["conditions"] = json!([{ "status": "True", "type": "Succeeded" }, 7]),
        |run| run["status"]["results"][0]["value"] = json!("sha256:\u{202e}\u{0}\n../../etc"),
        |run| run["status"]["results"][1]["value"] = json!("registry.test/app\nregistry.test/b"),
        |run| run["spec"]["serviceAccountName"] = json!("../../secrets/x?y"),
        |run| run["metadata"]["annotations"] = json!({ "chains.tekton.dev/progress": "{{{" }),
        |run| run["metadata"]["annotations"] = json!({ "chains.tekton.dev/retries": "-1" }),
    ];
    let mut odd = builds("odd", oddities.len());
    odd.iter_mut().zip(oddities).for_each(|(run, make_odd)| make_odd(run));
    let mut controller = stage.start()?;
    let watch = namespace.watch("taskruns")?;
    namespace.create(&odd)?;
    watch.until_all(&names(&odd), |seen| seen.is_held())?;
    namespace.complete(&odd)?;
    sane_ones_are_signed(namespace, &watch)?;
    // One way or the other: nothing is stuck.
    watch.until_all(&names(&odd), |seen| seen.chains("signed").is_some() && !seen.is_held())?;
    for name in names(&odd) {
        let seen = watch.now(&name).context("unknown")?;
        if seen.is_failed() {
            ensure!(seen.chains("reason").is_some_and(|why| !why.is_empty()), "{seen:#?}");
            ensure!(!namespace.told(&name)?.is_empty(), "no Event tells of {name}");
        }
    }
    let failed = watch.count(|seen| seen.is_failed());
    scene.note(format!("of {} odd ones {failed} failed, the others were signed", odd.len()));
    ensure!(controller.is_running()?, "it ended");
    Ok(())
}

fn large(scene: &Scene<'_>) -> Result<()> {
    const RUNS: usize = 40;
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let namespace = &stage.namespace;
    let mut controller = stage.start()?;
    let watch = namespace.watch("taskruns")?;
    namespace.run(&builds("first", 5))?;
    watch.until("first-0", |seen| seen.is_signed())?;
    let before = controller.usage()?.peak;
    let mut large = builds("large", RUNS);
    for (number, run) in large.iter_mut().enumerate().skip(1) {
        // What fills it counts in the statement, but for every second one.
        let text = "x".repeat(900_000);
        if number % 2 == 0 {
            run["spec"]["params"][0]["value"] = text.into();
        } else {
            run["spec"]["description"] = text.into();
        }
    }
    // Many images in one.
    let images = (0..8_000).map(|n| format!("registry.test/app-{n}@{DIGEST}"));
    large[0]["status"]["results"] =
        json!([{ "name": "IMAGES", "value": images.collect::<Vec<_>>().join(",") }]);
    namespace.run(&large)?;
    sane_ones_are_signed(namespace, &watch)?;
    watch.until_all(&names(&large), |seen| seen.chains("signed").is_some() && !seen.is_held())?;
    // A statement that does not fit beside its run has no place here; the others do.
    let failed = watch.count(|seen| seen.is_failed());
    let peak = controller.usage()?.peak;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    scene.note(format!(
        "{RUNS} runs of 0.9 MB: {failed} failed; memory {:.0} MB before, {:.0} MB at most",
        megabytes(before),
        megabytes(peak)
    ));
    ensure!(failed <= RUNS / 2, "{failed} of {RUNS} failed");
    ensure!(megabytes(peak) < 256.0, "memory grew to {:.0} MB", megabytes(peak));
    ensure!(controller.is_running()?, "it ended");
    Ok(())
}

fn sane_ones_are_signed(namespace: &Namespace<'_>, watch: &Watch) -> Result<()> {
    let sane = builds("sane", 20);
    namespace.run(&sane)?;
    watch.until_all(&names(&sane), |seen| seen.is_signed() && !seen.is_held())
}
