//! What is told to someone whose image was not signed.

#![allow(clippy::expect_used, reason = "a helper of tests")]

use chains_tekton::Run;

/// The part of a run that is given, and what must be said of it, line by line.
fn check(kind: &str, part: &str, expect: &[&str]) {
    let hex = |digit: &str, count: usize| digit.repeat(count);
    let part = part
        .replace("HEX63", &hex("a", 63))
        .replace("HEX64", &hex("a", 64))
        .replace("HEX40", &hex("b", 40));
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"{kind}","metadata":{{"name":"build","uid":"u"}},{part}}}"#
    );
    let run = Run::from_json(json.as_bytes()).expect("the run can be read");
    let told: Vec<String> = run.explain().iter().map(ToString::to_string).collect();
    let expect: Vec<String> =
        expect.iter().map(|line| line.replace("HEX64", &hex("a", 64))).collect();
    assert_eq!(told, expect, "\n{part}");
}

fn results(results: &[(&str, &str)], expect: &[&str]) {
    let list: Vec<String> = results
        .iter()
        .map(|(name, value)| format!(r#"{{"name":"{name}","value":{value}}}"#))
        .collect();
    check("TaskRun", &format!(r#""status":{{"results":[{}]}}"#, list.join(",")), expect);
}

#[test]
fn an_image_that_is_signed() {
    results(
        &[
            ("IMAGE_URL", r#""reg.io/app:v1\n""#),
            ("IMAGE_DIGEST", r#""sha256:HEX64""#),
            ("note", "\"x\""),
        ],
        &[
            "result IMAGE_URL: image reg.io/app@sha256:HEX64, with IMAGE_DIGEST",
            "result IMAGE_DIGEST: image reg.io/app@sha256:HEX64, with IMAGE_URL",
        ],
    );
    results(
        &[("IMAGES", r#""nginx@sha256:HEX64""#)],
        &["result IMAGES: image index.docker.io/library/nginx@sha256:HEX64"],
    );
    results(
        &[(
            "x-ARTIFACT_OUTPUTS",
            r#"{"uri":"reg.io/app","digest":"sha256:HEX64","isBuildArtifact":"true"}"#,
        )],
        &["result x-ARTIFACT_OUTPUTS: image reg.io/app@sha256:HEX64"],
    );
}

#[test]
fn nothing_to_say() {
    results(&[("note", "\"x\""), ("pilgrimage", "\"x\"")], &[]);
    check("TaskRun", r#""spec":{}"#, &[]);
}

#[test]
fn halves() {
    results(
        &[("a-IMAGE_URL", "\"reg.io/app\""), ("b-IMAGE_DIGEST", "\"sha256:HEX64\"")],
        &[
            "result a-IMAGE_URL: left out: no result `a-IMAGE_DIGEST` with a value goes with it",
            "result b-IMAGE_DIGEST: left out: no result `b-IMAGE_URL` with a value goes with it",
        ],
    );
    results(
        &[("IMAGE_URL", "\"reg.io/app\""), ("IMAGE_DIGEST", "\" \"")],
        &[
            "result IMAGE_DIGEST: left out: its value is empty",
            "result IMAGE_URL: left out: no result `IMAGE_DIGEST` with a value goes with it",
        ],
    );
    results(
        &[("IMAGE_URL", "[\"reg.io/app\"]"), ("IMAGE_DIGEST", "\"sha256:HEX64\"")],
        &[
            "result IMAGE_URL: left out: its value is an array, not a string",
            "result IMAGE_DIGEST: left out: no result `IMAGE_URL` with a value goes with it",
        ],
    );
}

#[test]
fn digests_and_names_that_are_none() {
    let pair = |url: &str, digest: &str, why: &str| {
        let why = format!("left out: the two together are not an image with its digest: {why}");
        results(
            &[("IMAGE_URL", &format!("{url:?}")), ("IMAGE_DIGEST", &format!("{digest:?}"))],
            &[&format!("result IMAGE_URL: {why}"), &format!("result IMAGE_DIGEST: {why}")],
        );
    };
    pair("reg.io/app", "sha256:HEX63", "a sha256 digest has 64 hex digits, not 63");
    pair("reg.io/app", "HEX64", "no colon between algorithm and digits");
    pair("reg.io/app", "sha1:HEX40", "images have sha256 digests, not sha1");
    pair("reg.io/App", "sha256:HEX64", "repository \"App\" holds 'A', allowed are a-z 0-9 _ - . /");
    results(
        &[("IMAGES", r#""nginx, reg.io/app@sha256:HEX64""#)],
        &[
            "result IMAGES: left out: \"nginx\" is not an image with its digest: \"nginx\" has no @ between name and digest",
            "result IMAGES: image reg.io/app@sha256:HEX64",
        ],
    );
    results(&[("IMAGES", "\" ,\\n\"")], &["result IMAGES: left out: its value is empty"]);
    results(
        &[("IMAGES", "{}")],
        &["result IMAGES: left out: its value is an object, not a string or an array"],
    );
}

#[test]
fn outputs_and_inputs() {
    results(
        &[
            ("a-ARTIFACT_OUTPUTS", r#"{"uri":"reg.io/app","digest":"sha256:HEX64"}"#),
            (
                "b-ARTIFACT_OUTPUTS",
                r#"{"uri":"u://Bin","digest":"sha256:HEX64","isBuildArtifact":"true"}"#,
            ),
            ("c-ARTIFACT_OUTPUTS", r#""{}""#),
            ("d-ARTIFACT_OUTPUTS", r#"{"digest":"sha256:HEX64"}"#),
            ("e-ARTIFACT_OUTPUTS", r#"{"uri":"u://e","digest":""}"#),
            ("f-ARTIFACT_INPUTS", r#"{"uri":"u://f","digest":"sha256:HEX64"}"#),
            ("g-ARTIFACT_INPUTS", r#"{"uri":"u://g","digest":"md5:00"}"#),
        ],
        &[
            "result a-ARTIFACT_OUTPUTS: artifact reg.io/app@sha256:HEX64 (isBuildArtifact is not \"true\": no image \
             is signed for it, and in slsa/v2alpha4 it is a by-product and no subject)",
            "result b-ARTIFACT_OUTPUTS: artifact u://Bin@sha256:HEX64 (a subject, but no image to sign: repository \
             \"/Bin\" holds 'B', allowed are a-z 0-9 _ - . /)",
            "result c-ARTIFACT_OUTPUTS: left out: its value is a string, not an object",
            "result d-ARTIFACT_OUTPUTS: left out: its object has no `uri`",
            "result e-ARTIFACT_OUTPUTS: left out: its object has no `digest`",
            "result f-ARTIFACT_INPUTS: material u://f@sha256:HEX64",
            "result g-ARTIFACT_INPUTS: left out: its digest is not one: unknown digest algorithm \"md5\": known are \
             sha1, sha256, sha384, sha512",
        ],
    );
    results(
        &[("ARTIFACT_URI", "\"u://a\""), ("ARTIFACT_DIGEST", "\"sha256:HEX64\"")],
        &[
            "result ARTIFACT_URI: artifact u://a@sha256:HEX64, with ARTIFACT_DIGEST (a subject in in-toto, slsa/v1 and \
             slsa/v2alpha3; slsa/v2alpha4 has ARTIFACT_OUTPUTS for it)",
            "result ARTIFACT_DIGEST: artifact u://a@sha256:HEX64, with ARTIFACT_URI (a subject in in-toto, slsa/v1 and \
             slsa/v2alpha3; slsa/v2alpha4 has ARTIFACT_OUTPUTS for it)",
        ],
    );
}

#[test]
fn near_misses() {
    let suffix = |name: &str, meant: &str| {
        let line = format!(
            "result {name}: left out: not a name that is read: the hint's name ends in `{meant}`, written just so"
        );
        results(&[(name, "\"x\"")], &[&line]);
    };
    suffix("image-url", "IMAGE_URL");
    suffix("imageUrl", "IMAGE_URL");
    suffix("IMAGE-URL", "IMAGE_URL");
    suffix("app_image_url", "IMAGE_URL");
    suffix("IMAGE_REF", "IMAGE_URL");
    suffix("imageDigest", "IMAGE_DIGEST");
    suffix("IMAGE_SHA256", "IMAGE_DIGEST");
    suffix("ARTIFACT_URL", "ARTIFACT_URI");
    suffix("artifact.outputs", "ARTIFACT_OUTPUTS");
    suffix("ARTIFACT_INPUT", "ARTIFACT_INPUTS");
    let whole = |name: &str, meant: &str| {
        let line = format!(
            "result {name}: left out: not a name that is read: the hint's whole name is `{meant}`"
        );
        results(&[(name, "\"x\"")], &[&line]);
    };
    whole("my-IMAGES", "IMAGES");
    whole("images", "IMAGES");
    whole("CHAINS_GIT_URL", "CHAINS-GIT_URL");
    whole("chains-git_commit", "CHAINS-GIT_COMMIT");
}

#[test]
fn sources() {
    check(
        "TaskRun",
        r#""spec":{"params":[{"name":"CHAINS-GIT_URL","value":"https://g/x"},{"name":"git-url","value":"y"}]},
           "status":{"taskSpec":{"params":[{"name":"CHAINS-GIT_URL","default":"https://g/y"}]},
                     "results":[{"name":"CHAINS-GIT_COMMIT","value":"c0ffee"}]}"#,
        &[
            "default of a param CHAINS-GIT_URL: left out: a later one of the same name counts",
            "param CHAINS-GIT_URL: source https://g/x, with CHAINS-GIT_COMMIT",
            "param git-url: left out: not a name that is read: the hint's whole name is `CHAINS-GIT_URL`",
            "result CHAINS-GIT_COMMIT: source c0ffee, with CHAINS-GIT_URL",
        ],
    );
    let commit = r#""status":{"results":[{"name":"CHAINS-GIT_COMMIT","value":"c0ffee"}]}"#;
    check(
        "TaskRun",
        commit,
        &[
            "result CHAINS-GIT_COMMIT: source c0ffee (without a `CHAINS-GIT_URL`: a material without a place)",
        ],
    );
    check(
        "PipelineRun",
        commit,
        &["result CHAINS-GIT_COMMIT: left out: no `CHAINS-GIT_URL` with a value goes with it"],
    );
    check(
        "TaskRun",
        r#""status":{"results":[{"name":"CHAINS-GIT_URL","value":"x"},{"name":"CHAINS-GIT_COMMIT","value":""}]}"#,
        &[
            "result CHAINS-GIT_URL: left out: no `CHAINS-GIT_COMMIT` with a value goes with it",
            "result CHAINS-GIT_COMMIT: left out: its value is empty",
        ],
    );
}

#[test]
fn results_of_steps_and_pipelines() {
    let pair = r#"[{"name":"IMAGE_URL","value":"reg.io/app"},{"name":"IMAGE_DIGEST","value":"sha256:HEX64"}]"#;
    let note = "a step's result: a subject in slsa/v2alpha4 only, and the image itself is not signed; make it a \
                result of the task";
    check(
        "TaskRun",
        &format!(r#""status":{{"steps":[{{"name":"push","results":{pair}}}]}}"#),
        &[
            &format!(
                "result of step push IMAGE_URL: image reg.io/app@sha256:HEX64, with IMAGE_DIGEST ({note})"
            ),
            &format!(
                "result of step push IMAGE_DIGEST: image reg.io/app@sha256:HEX64, with IMAGE_URL ({note})"
            ),
        ],
    );
    let note =
        "a subject of the provenance; the image itself is signed with the TaskRun that built it";
    check(
        "PipelineRun",
        &format!(r#""status":{{"results":{pair}}}"#),
        &[
            &format!("result IMAGE_URL: image reg.io/app@sha256:HEX64, with IMAGE_DIGEST ({note})"),
            &format!("result IMAGE_DIGEST: image reg.io/app@sha256:HEX64, with IMAGE_URL ({note})"),
        ],
    );
}
