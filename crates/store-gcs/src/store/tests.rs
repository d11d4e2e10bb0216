//! What is done where something is there already, over a bucket in memory that can be made to misbehave.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use chains_core::{RunRef, Signed, VerificationMaterial};
use chains_testkit::{fake, fixture, store as suites};

use super::*;

/// A bucket in memory.
#[derive(Debug, Clone, Default)]
struct Memory {
    objects: Arc<StdMutex<BTreeMap<String, Bytes>>>,
    /// Whether `create` replaces what is there, as some servers do, and the store knows that it may.
    replaces: bool,
    /// How many creations succeed before all fail.
    left: Option<Arc<AtomicUsize>>,
    requests: Arc<AtomicUsize>,
}

impl Memory {
    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn insert(&self, name: &str, content: &str) {
        let content = Bytes::copy_from_slice(content.as_bytes());
        self.objects.lock().unwrap().insert(name.to_owned(), content);
    }

    fn failing_after(&self, creations: usize) -> Self {
        Self { left: Some(Arc::new(creations.into())), ..self.clone() }
    }
}

#[async_trait]
impl Objects for Memory {
    fn holds_to_preconditions(&self) -> bool {
        !self.replaces
    }

    fn url(&self, name: &str) -> String {
        format!("memory://{name}")
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(self.objects.lock().unwrap().get(name).cloned())
    }

    async fn create(&self, name: &str, _: &'static str, content: Bytes) -> Result<Creation> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if let Some(left) = &self.left {
            let less = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            less.map_err(|_| Error::new(ErrorKind::Unavailable, format!("creating {name}")))?;
        }
        let mut objects = self.objects.lock().unwrap();
        if objects.contains_key(name) && !self.replaces {
            return Ok(Creation::Exists);
        }
        objects.insert(name.to_owned(), content);
        Ok(Creation::Created)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        Ok(self.names().into_iter().filter(|name| name.starts_with(prefix)).collect())
    }
}

fn store(memory: &Memory) -> BucketStore {
    BucketStore::new("gcs", "", Box::new(memory.clone()))
}

fn certified(record: Record, certificate: &str) -> Record {
    let material = record.material.as_deref().unwrap().clone();
    let (certificate, chain) = (Some(certificate.to_owned()), Some(format!("{certificate}-root")));
    let material = VerificationMaterial { certificate, chain, ..material };
    Record { material: Some(material.into()), ..record }
}

/// A record and the same one signed anew, each with a certificate of its own.
fn certified_twice(name: &str) -> [Record; 2] {
    let [first, second] = suites::signed_twice(name);
    [certified(first, "one"), certified(second, "two")]
}

async fn put(memory: &Memory, record: &Record) -> Outcome {
    store(memory).put(record).await.unwrap()
}

async fn read(memory: &Memory, record: &Record) -> Vec<Stored> {
    store(memory).read_back(record.into()).await.unwrap()
}

fn signature(stored: &Stored) -> &[u8] {
    stored.signed.as_ref().unwrap().signature()
}

#[tokio::test]
async fn it_keeps_the_contract_of_stores() {
    for replaces in [false, true] {
        let memory = || Memory { replaces, ..Memory::default() };
        suites::read_back_suite(Arc::new(store(&memory()))).await;
        suites::resume_suite(Arc::new(store(&memory())), suites::signed_twice).await;
        suites::resume_suite(Arc::new(store(&memory())), certified_twice).await;
    }
}

#[tokio::test]
async fn a_new_record_takes_as_few_requests_as_it_can() {
    let memory = Memory::default();
    let record = fixture::run_record(&fixture::run("build"));
    assert!(matches!(put(&memory, &record).await, Outcome::Stored { .. }));
    // A look for the signature, payload, signature.
    assert_eq!(memory.requests.load(Ordering::SeqCst), 3);
    assert_eq!(memory.names().len(), 2);
}

/// Wherever a set breaks off: the same record completes it, another one goes beside it.
#[tokio::test]
async fn a_set_that_broke_off_is_completed_or_left() {
    for creations in 0..4 {
        let [first, second] = certified_twice("build");
        let memory = Memory::default();
        let error = store(&memory.failing_after(creations)).put(&first).await.unwrap_err();
        assert!(error.is_retryable());
        assert!(matches!(put(&memory, &first).await, Outcome::Stored { .. }));
        assert_eq!(memory.names().len(), 4, "completed in its place: {:?}", memory.names());
        assert_eq!(read(&memory, &first).await.len(), 1);

        let memory = Memory::default();
        store(&memory.failing_after(creations)).put(&first).await.unwrap_err();
        let Outcome::Stored { location } = put(&memory, &second).await else { panic!("stored") };
        // A payload alone is the same for both: what is signed is what the run says.
        assert!(location.contains("-default-build/taskrun-"), "{location}");
        let signed: Vec<Stored> =
            read(&memory, &second).await.into_iter().filter(|one| one.signed.is_some()).collect();
        assert_eq!(signed.len(), 1, "{signed:?}");
        assert_eq!(signed[0].certificate.as_deref(), Some("two"));
        assert_eq!(signed[0].chain.as_deref(), Some("two-root"));
        assert_eq!(signature(&signed[0]), second.signed.as_ref().unwrap().signature());
        let in_place = !signed[0].location.contains(
            &*Place::of("", &second.run, &second.key).unwrap().beside(&Set::of(&second).unwrap()),
        );
        assert_eq!(in_place, creations < 2, "{creations}: {}", signed[0].location);
    }
}

#[tokio::test]
async fn another_signature_or_payload_goes_beside_and_nothing_is_lost() {
    let memory = Memory::default();
    let [first, second] = suites::signed_twice("build");
    let mut third = first.clone();
    third.payload = fixture::statement(&first.run, &fixture::image("other"));
    let third =
        fixture::signed(&first.run, first.target.clone(), third.payload, &fake::FakeSigner::new(1));
    for record in [&first, &second, &third] {
        assert!(matches!(put(&memory, record).await, Outcome::Stored { .. }));
    }
    for record in [&first, &second, &third] {
        assert!(matches!(put(&memory, record).await, Outcome::AlreadyStored { .. }));
    }
    assert_eq!(memory.names().len(), 6);
    let found = read(&memory, &first).await;
    assert_eq!(found.len(), 3);
    assert_eq!(
        signature(&found[0]),
        first.signed.as_ref().unwrap().signature(),
        "the first stays first"
    );
}

/// Two images with the same digest share their short key.
#[tokio::test]
async fn the_same_digest_in_another_repository_is_another_set() {
    let memory = Memory::default();
    let run = fixture::run("build");
    let image = fixture::image("app");
    let other = chains_core::ImageDigest {
        name: "registry.example.com/other".parse().unwrap(),
        ..image.clone()
    };
    let (one, two) = (fixture::image_record(&run, &image), fixture::image_record(&run, &other));
    assert_eq!(one.key.short, two.key.short);
    for record in [&one, &two] {
        assert!(matches!(put(&memory, record).await, Outcome::Stored { .. }));
    }
    assert_eq!(read(&memory, &one).await.len(), 2);
}

#[tokio::test]
async fn what_tekton_chains_wrote_is_found_and_kept() {
    let memory = Memory::default();
    let record = fixture::run_record(&fixture::run("build"));
    let base = Place::of("", &record.run, &record.key).unwrap().base().to_owned();
    let Some(Signed::Dsse(envelope)) = &record.signed else { panic!("it is an envelope") };
    // It writes the signature first, and certificates where there are none.
    memory.insert(&format!("{base}.signature"), &envelope.to_json());
    memory.insert(&format!("{base}.cert"), "");
    memory.insert(&format!("{base}.chain"), "");
    let found = read(&memory, &record).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].payload, record.payload.bytes);
    assert_eq!(found[0].certificate, None);

    assert!(
        matches!(put(&memory, &record).await, Outcome::Stored { .. }),
        "the payload was missing"
    );
    assert!(matches!(put(&memory, &record).await, Outcome::AlreadyStored { .. }));
    assert_eq!(memory.names().len(), 4);

    // A signature of its own, and no payload: ours must not go with it.
    let memory = Memory::default();
    memory.insert(&format!("{base}.signature"), "theirs");
    assert!(matches!(put(&memory, &record).await, Outcome::Stored { .. }));
    assert!(!memory.names().contains(&format!("{base}.payload")));
    assert_eq!(read(&memory, &record).await.len(), 1);
}

#[tokio::test]
async fn what_is_planted_is_told_or_passed_over() {
    let memory = Memory::default();
    let record = fixture::run_record(&fixture::run("build"));
    put(&memory, &record).await;
    let base = Place::of("", &record.run, &record.key).unwrap().base().to_owned();
    memory.insert(&format!("{base}-evil.payload"), "x");
    memory.insert(&format!("{base}.exe"), "x");
    assert_eq!(read(&memory, &record).await.len(), 1);
    memory.insert(&format!("{base}.payload"), "another");
    let error = store(&memory).read_back((&record).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.report().contains("another payload"), "{}", error.report());

    // Both places taken: a clear end, not an endless retry.
    let set = Set::of(&record).unwrap();
    let beside = Place::of("", &record.run, &record.key).unwrap().beside(&set);
    memory.insert(&format!("{beside}.signature"), "theirs");
    let error = store(&memory).put(&record).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!error.is_retryable() && error.report().contains("remove them"), "{}", error.report());
}

#[tokio::test]
async fn names_from_files_cannot_lead_elsewhere() {
    let run = RunRef { name: "../x".into(), ..fixture::run("build") };
    let record = fixture::run_record(&run);
    let error = store(&Memory::default()).put(&record).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
