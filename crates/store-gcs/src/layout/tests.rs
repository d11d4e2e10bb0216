//! Names, sets, and how what is found compares to them.

use chains_core::{Target, VerificationMaterial};
use chains_testkit::fixture;

use super::*;

fn certified(certificate: &str, chain: Option<&str>) -> Record {
    let record = fixture::run_record(&fixture::run("build"));
    let material = record.material.as_deref().unwrap().clone();
    let material = VerificationMaterial {
        certificate: Some(certificate.to_owned()),
        chain: chain.map(str::to_owned),
        ..material
    };
    Record { material: Some(material.into()), ..record }
}

fn parts(record: &Record) -> Vec<Part> {
    Set::of(record).unwrap().items().iter().map(|item| item.part).collect()
}

#[test]
fn names_are_those_of_tekton_chains() {
    let run = fixture::run("build");
    let place = Place::of("", &run, &Target::Run.record_key(&run)).unwrap();
    let base = format!("taskrun-default-build/taskrun-{}", run.uid);
    assert_eq!(place.base(), base);
    assert_eq!(Part::Signature.of(&base), format!("{base}.signature"));
    assert_eq!(Part::Payload.of(&base), format!("{base}.payload"));
    assert_eq!(Part::Certificate.of(&base), format!("{base}.cert"));
    assert_eq!(Part::Chain.of(&base), format!("{base}.chain"));

    let pipeline = RunRef { kind: chains_core::RunKind::PipelineRun, ..run.clone() };
    let place = Place::of("team/a", &pipeline, &Target::Run.record_key(&pipeline)).unwrap();
    let base = format!("team/a/pipelinerun-default-build/pipelinerun-{}", run.uid);
    assert_eq!(place.base(), base);

    let image = fixture::image("app");
    let hex = &image.digest.hex()[..12];
    let place = Place::of("", &run, &Target::Image(image.clone()).record_key(&run)).unwrap();
    assert_eq!(place.base(), format!("taskrun-default-build/{hex}"));
}

#[test]
fn names_that_would_lead_elsewhere_are_refused() {
    for name in ["a/b", "../../x", "a\nb", "a\\b", &"x".repeat(1024)] {
        let run = RunRef { name: name.into(), ..fixture::run("build") };
        let error = Place::of("", &run, &Target::Run.record_key(&run)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn there_are_certificates_only_where_there_are_some() {
    use Part::{Certificate, Chain, Payload, Signature};
    let run = fixture::run("build");
    assert_eq!(parts(&fixture::run_record(&run)), [Payload, Signature]);
    assert_eq!(parts(&fixture::unsigned_record(&run)), [Payload]);
    assert_eq!(parts(&certified("leaf", None)), [Payload, Certificate, Signature]);
    assert_eq!(parts(&certified("leaf", Some("root"))), [Payload, Certificate, Chain, Signature]);
    assert_eq!(parts(&certified("leaf", Some(""))), [Payload, Certificate, Signature]);
    assert_eq!(parts(&certified("", Some("root"))), [Payload, Signature]);
}

#[test]
fn signatures_are_written_as_tekton_chains_does() {
    let run = fixture::run("build");
    let record = fixture::run_record(&run);
    let set = Set::of(&record).unwrap();
    let Some(Signed::Dsse(envelope)) = &record.signed else { panic!("it is an envelope") };
    assert_eq!(set.item(Part::Signature).unwrap().content, envelope.to_json().as_bytes());
    assert_eq!(set.item(Part::Payload).unwrap().content, record.payload.bytes);

    let record = fixture::image_record(&run, &fixture::image("app"));
    let set = Set::of(&record).unwrap();
    let bytes = record.signed.as_ref().unwrap().signature();
    assert_eq!(set.item(Part::Signature).unwrap().content, bytes);
}

#[test]
fn what_is_too_large_names_the_run_and_the_limit() {
    let mut record = fixture::unsigned_record(&fixture::run("build"));
    record.payload.bytes = vec![b' '; MAX_OBJECT + 1].into();
    let error = Set::of(&record).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let text = error.report();
    assert!(text.contains("default/build") && text.contains("33554432"), "{text}");
}

#[test]
fn sets_are_compared_as_a_whole() {
    let set = Set::of(&certified("leaf", None)).unwrap();
    let content = |part| Some(set.item(part).unwrap().content.clone());
    let check = |found: [Option<Bytes>; 4], expect: Comparison| {
        let found: Vec<_> = Part::ALL.into_iter().zip(found).collect();
        assert_eq!(set.compare(&found), expect, "{found:?}");
    };
    let [payload, leaf, signature] =
        [Part::Payload, Part::Certificate, Part::Signature].map(content);
    let (other, empty) = (Some(Bytes::from_static(b"other")), Some(Bytes::new()));
    let missing = |parts: &[Part]| Comparison::Missing(parts.to_vec());
    check([payload.clone(), leaf.clone(), None, signature.clone()], missing(&[]));
    check([payload.clone(), leaf.clone(), empty.clone(), signature.clone()], missing(&[]));
    check([None, None, None, None], missing(&[Part::Payload, Part::Certificate, Part::Signature]));
    check([payload.clone(), leaf.clone(), None, None], missing(&[Part::Signature]));
    check([payload.clone(), leaf.clone(), other.clone(), None], Comparison::Differs);
    check([payload.clone(), other.clone(), None, None], Comparison::Differs);
    check([payload.clone(), empty, None, None], Comparison::Differs);
    check([other.clone(), None, None, None], Comparison::Differs);
    check([payload, leaf, None, other], Comparison::Differs);
}

#[test]
fn other_sets_of_the_same_key_are_told_from_other_objects() {
    let run = fixture::run("build");
    let place = Place::of("", &run, &Target::Run.record_key(&run)).unwrap();
    let base = place.base().to_owned();
    let (one, two) =
        (Set::of(&certified("one", None)).unwrap(), Set::of(&certified("two", None)).unwrap());
    let beside = [place.beside(&one), place.beside(&two)];
    assert_ne!(beside[0], beside[1]);
    assert_eq!(beside[0], place.beside(&one), "the same set, the same name");

    let mut names: Vec<String> = Vec::new();
    for stem in [&beside[1], &base, &beside[0]] {
        names.extend(Part::ALL.map(|part| part.of(stem)));
    }
    for other in ["", ".sig", "-x.payload", "-0123456789abcdeg.payload", "0.payload"] {
        names.push(format!("{base}{other}"));
    }
    let mut expect = vec![base, beside[0].clone(), beside[1].clone()];
    expect.sort();
    assert_eq!(place.sets(&names), expect);
    assert_eq!(expect.iter().map(String::len).min(), Some(expect[0].len()), "the base comes first");
}
