//! Records as documents: the contract of a store, and what is told of all that can be wrong, with each real database.

use std::{path::PathBuf, sync::Arc};

use chains_core::{Error, ErrorKind, ReadBack as _, Record, Secret, Store as _};
use chains_e2e::{
    Case, Context as _, Result, Scene, case, cluster,
    docdb::{
        Document,
        dynamodb::{self, DynamoDb},
        firestore::{FIRESTORE, Firestore},
        mongo::{FERRET, Mongo, PYMONGO, SECANTUS},
    },
    ensure,
    tls::Authority,
};
use chains_store_docdb::{Collection, DocDbOptions, DocDbStore, MongoServer, Variables};
use chains_testkit::{fake::FakeSigner, fixture, store};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("store_docdb::secantusdb", &[SECANTUS, PYMONGO], secantus),
        case("store_docdb::secantusdb_with_users_over_tls", &[SECANTUS, PYMONGO], guarded),
        case("store_docdb::ferretdb", &[FERRET, PYMONGO], ferret),
        case("store_docdb::dynamodb", &dynamodb::NEEDS, dynamo),
        case("store_docdb::firestore", &[FIRESTORE], firestore),
    ]
}

fn mongo(url: &str, server: MongoServer) -> Result<DocDbStore> {
    let options = DocDbOptions::new(Collection::parse(url)?);
    Ok(DocDbStore::new(DocDbOptions { mongo: Some(server), ..options })?)
}

/// The store of a collection, for anyone.
fn open(server: &Mongo<'_>, url: &str) -> Result<DocDbStore> {
    mongo(url, MongoServer::Url(Secret::new(server.url(""))))
}

fn put(store: &DocDbStore, record: &Record) -> Result<Result<&'static str, Error>> {
    cluster::wait(async { Ok::<_, Error>(store.put(record).await.map(|outcome| outcome.as_str())) })
}

/// The contract, and that the last signature is the one that is there.
fn keeps_the_contract(store: DocDbStore, name: &str) -> Result<()> {
    let store = Arc::new(store);
    let read_back = Arc::clone(&store);
    let records = store::records(name);
    cluster::wait(async {
        store::read_back_suite_with(read_back, records).await;
        Ok::<_, Error>(())
    })?;
    let run = fixture::run(&format!("{name}-again"));
    let first = fixture::run_record(&run);
    let payload = first.payload.clone();
    let second = fixture::signed(&run, first.target.clone(), payload, &FakeSigner::new(2));
    for (record, outcome) in
        [(&first, "stored"), (&second, "stored"), (&second, "already stored"), (&first, "stored")]
    {
        let done = put(&store, record)??;
        ensure!(done == outcome, "{done}, not {outcome}");
        let found = cluster::wait(store.read_back(record.into()))?;
        let [found] = found.as_slice() else { chains_e2e::bail!("{} records", found.len()) };
        ensure!(found.signed == record.signed, "another signature is there");
    }
    Ok(())
}

/// Expects that a record is refused, in these words.
fn refused(
    store: &DocDbStore,
    record: &Record,
    kind: ErrorKind,
    retryable: bool,
    words: &str,
) -> Result<()> {
    let error = put(store, record)?.err().with_context(|| format!("nobody said {words:?}"))?;
    let report = error.report();
    ensure!(report.contains(words), "{words:?} is not in {report}");
    ensure!(error.kind() == kind, "{}: {report}", error.kind());
    ensure!(error.is_retryable() == retryable, "retryable: {}: {report}", error.is_retryable());
    ensure!(report.starts_with(&format!("keeping {}", record.run)), "{report}");
    ensure!(!report.contains("hunter2"), "{report}");
    Ok(())
}

fn record(name: &str) -> Record {
    fixture::run_record(&fixture::run(name))
}

/// A record whose payload has a field of so many bytes.
fn large(bytes: usize) -> Record {
    let text = "x".repeat(bytes);
    with_payload("large", &json!({ "text": text }))
}

fn with_payload(name: &str, payload: &Value) -> Record {
    let mut record = fixture::unsigned_record(&fixture::run(name));
    record.payload.bytes = payload.to_string().into();
    record
}

/// What is there for the fixtures' records, as others read it: with every field of the reference, and no other.
fn as_the_reference(documents: &[Document], name: &str, spelled: Option<&str>) -> Result<()> {
    let records = store::records(name);
    ensure!(documents.len() >= records.len(), "{} documents", documents.len());
    for record in records {
        let found = documents.iter().find(|it| it.id == record.key.short);
        let found = found.with_context(|| format!("{} is not there", record.key.short))?;
        ensure!(found.name.as_deref() == spelled.map(|_| found.id.as_str()), "{:?}", found.name);
        ensure!(found.signed == record.payload.bytes, "another payload");
        ensure!(found.signature.is_some() == record.signed.is_some(), "{:?}", found.signature);
        let object: Value = serde_json::from_slice(&record.payload.bytes)?;
        ensure!(found.object == object, "{} is not {object}", found.object);
        let [certificate, chain] = &found.certificates;
        let nothing = |it: &Value| it.is_null() || it == "";
        ensure!(nothing(certificate) && nothing(chain), "certificates of nobody");
    }
    Ok(())
}

fn secantus(scene: &Scene<'_>) -> Result<()> {
    let mut server = Mongo::secantus(scene)?;
    keeps_the_contract(open(&server, "mongo://chains/spelled?id_field=name")?, "one")?;
    keeps_the_contract(open(&server, "mongo://chains/exact?id_field=Name")?, "two")?;
    as_the_reference(&server.read("chains", "spelled")?, "one", Some("name"))?;
    as_the_reference(&server.read("chains", "exact")?, "two", None)?;

    let quick = format!("{}?serverSelectionTimeoutMS=1000", server.url(""));
    let store = mongo("mongo://chains/runs?id_field=name", MongoServer::Url(Secret::new(quick)))?;
    let too_large = "16777216 (16 MiB) at most";
    refused(&store, &large(8 << 20), ErrorKind::TooLarge, false, too_large)?;
    tampered(&server)?;

    // Gone, and back.
    server.stop()?;
    let gone = "check the hosts and `tls` of MongoDB's connection string";
    refused(&store, &record("gone"), ErrorKind::Unavailable, true, gone)?;
    server.resume()?;
    ensure!(put(&store, &record("gone"))?? == "stored", "not stored");
    Ok(())
}

/// What somebody else changed is told where it is read, and mended where it is written.
fn tampered(server: &Mongo<'_>) -> Result<()> {
    let store = open(server, "mongo://chains/tampered?id_field=name")?;
    let record = record("tampered");
    put(&store, &record)??;
    let set = |field: &str, value: Value| {
        let update = json!({ "q": {}, "u": { "$set": { field: value } } });
        server.run("chains", &json!({ "update": "tampered", "updates": [update] }))
    };
    set("Signature", json!("%"))?;
    let error = cluster::wait(async { Ok::<_, Error>(store.read_back((&record).into()).await) })?;
    let report = error.err().context("read all the same")?.report();
    ensure!(report.contains("the field Signature of mongo://chains/tampered/taskrun-"), "{report}");
    ensure!(put(&store, &record)?? == "stored", "not mended");
    set("Chain", json!(1))?;
    refused(&store, &record, ErrorKind::InvalidInput, false, "the field Chain of the document")
}

fn ferret(scene: &Scene<'_>) -> Result<()> {
    let server = Mongo::ferret(scene)?;
    keeps_the_contract(open(&server, "mongo://chains/spelled?id_field=name")?, "one")?;
    keeps_the_contract(open(&server, "mongo://chains/exact?id_field=Name")?, "two")?;
    as_the_reference(&server.read("chains", "spelled")?, "one", Some("name"))?;
    as_the_reference(&server.read("chains", "exact")?, "two", None)
}

fn guarded(scene: &Scene<'_>) -> Result<()> {
    let authority = Authority::new(scene.folder(), "authority")?;
    let keys = authority.certify(scene.folder(), "mongo")?;
    let server = Mongo::guarded(scene, &keys, authority.certificate().to_owned())?;
    server.add_user("chains", "right", "readWrite", "chains")?;
    server.add_user("reader", "right", "read", "chains")?;
    let url = "mongo://chains/runs?id_field=name";
    let by = |text: String| mongo(url, MongoServer::Url(Secret::new(text)));
    keeps_the_contract(by(server.url("chains:right"))?, "tls")?;

    let denied = ErrorKind::Unauthorized;
    let check = "check the user, the password and `authSource`";
    refused(&by(server.url("chains:hunter2"))?, &record("a"), denied, false, check)?;
    let grant = "grant `find`, `insert` and `update` on the collection";
    refused(&by(server.url("reader:right"))?, &record("a"), denied, false, grant)?;
    refused(&by(server.url(""))?, &record("a"), denied, false, grant)?;

    let other = Authority::new(scene.folder(), "other")?;
    let text = |path: &std::path::Path| path.display().to_string();
    let untrusted = server
        .url("chains:right")
        .replace(&text(authority.certificate()), &text(other.certificate()));
    let hosts = "check the hosts and `tls`";
    let untrusted = format!("{untrusted}&serverSelectionTimeoutMS=1000");
    refused(&by(untrusted)?, &record("a"), ErrorKind::Unavailable, true, hosts)?;
    rotated(scene, &server, url)
}

/// A new password takes effect at the next record, also where the old one is refused before the file has changed.
fn rotated(scene: &Scene<'_>, server: &Mongo<'_>, url: &str) -> Result<()> {
    let path: PathBuf = scene.write("url", format!("{}\n", server.url("chains:right")))?;
    let store = mongo(url, MongoServer::Path(path.clone()))?;
    ensure!(put(&store, &record("rotated-1"))?? == "stored", "not stored");
    std::fs::write(&path, server.url("chains:hunter2"))?;
    std::thread::sleep(DocDbOptions::new(Collection::parse(url)?).limits.refresh);
    // A Secret that is on its way: it is worth another attempt.
    let check = "check the user, the password";
    refused(&store, &record("rotated-2"), ErrorKind::Unauthorized, true, check)?;
    std::fs::write(&path, server.url("chains:right"))?;
    // Without a wait: what is refused is looked for at once.
    ensure!(put(&store, &record("rotated-2"))?? == "stored", "not stored");
    Ok(())
}

fn dynamo(scene: &Scene<'_>) -> Result<()> {
    let mut server = DynamoDb::start(scene)?;
    let at = |table: &str, key: &str| -> Result<DocDbStore> {
        let url = format!("dynamodb://{table}?partition_key={key}&endpoint={}", server.address());
        let mut options = DocDbOptions::new(Collection::parse(&url)?);
        options.variables = Variables::of([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_REGION", "eu-west-1"),
        ]);
        Ok(DocDbStore::new(options)?)
    };
    server.create_table("exact", "Name", None)?;
    server.create_table("spelled", "name", None)?;
    server.create_table("sorted", "Name", Some("Signature"))?;
    server.create_table("other", "id", None)?;
    keeps_the_contract(at("exact", "Name")?, "one")?;
    keeps_the_contract(at("spelled", "name")?, "two")?;
    as_the_reference(&server.read("exact", "Name")?, "one", Some("Name"))?;
    as_the_reference(&server.read("spelled", "name")?, "two", Some("name"))?;

    let store = at("exact", "Name")?;
    let too_large = "409600 (400 KiB) at most";
    refused(&store, &large(300 << 10), ErrorKind::TooLarge, false, too_large)?;
    // Under what we count and over what the service counts: each `0` is one byte, and more with what is around it.
    let numbers = with_payload("numbers", &json!({ "list": vec![0; 130_000] }));
    refused(&store, &numbers, ErrorKind::TooLarge, false, too_large)?;
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!({ "a": deep });
    }
    refused(&store, &with_payload("deep", &deep), ErrorKind::InvalidInput, false, "400")?;
    let create = "create the table missing in the region eu-west-1 with the partition key `Name`";
    refused(&at("missing", "Name")?, &record("a"), ErrorKind::NotFound, false, create)?;
    let mend = "the table must have the partition key `Name` (a string) and no sort key";
    // Without a signature there is nothing for the sort key.
    let unsigned = fixture::unsigned_record(&fixture::run("a"));
    refused(&at("sorted", "Name")?, &unsigned, ErrorKind::Configuration, false, mend)?;
    refused(&at("other", "Name")?, &record("a"), ErrorKind::Configuration, false, mend)?;

    let port = server.address();
    server.stop()?;
    let gone = port.trim_start_matches("http://").split(':').next().unwrap_or_default().to_owned();
    refused(&store, &record("gone"), ErrorKind::Unavailable, true, &gone)?;
    server.resume()?;
    ensure!(put(&store, &record("gone"))?? == "stored", "not stored");
    Ok(())
}

fn firestore(scene: &Scene<'_>) -> Result<()> {
    let server = Firestore::start(scene)?;
    let at = |collection: &str, field: &str| -> Result<DocDbStore> {
        let url = format!("{}?name_field={field}", server.collection(collection));
        let mut options = DocDbOptions::new(Collection::parse(&url)?);
        options.variables = Variables::of([("FIRESTORE_EMULATOR_HOST", server.host())]);
        Ok(DocDbStore::new(options)?)
    };
    keeps_the_contract(at("spelled", "name")?, "one")?;
    keeps_the_contract(at("exact", "Name")?, "two")?;
    keeps_the_contract(at("teams/red/runs", "Name")?, "three")?;
    as_the_reference(&server.read("spelled")?, "one", Some("name"))?;
    as_the_reference(&server.read("exact")?, "two", None)?;
    as_the_reference(&server.read("teams/red/runs")?, "three", None)?;

    let store = at("exact", "Name")?;
    let too_large = "1048576 (1 MiB) at most";
    refused(&store, &large(600 << 10), ErrorKind::TooLarge, false, too_large)?;
    let nested = with_payload("nested", &json!({ "a": [[1]] }));
    refused(&store, &nested, ErrorKind::InvalidInput, false, "array")?;

    drop(server);
    refused(&store, &record("gone"), ErrorKind::Unavailable, true, "127.0.0.1")
}
