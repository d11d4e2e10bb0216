//! Configurations and keys that come, go and are faulty.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use chains_backends::Environment;
use chains_core::{Error, ErrorKind, PublicKey};
use tempfile::TempDir;
use tracing::Level;

use super::super::key::tests::pem;
use super::super::{Settings, Subject};
use super::*;
use crate::events::Told;

type Valid = Arc<Mutex<Vec<(Subject, bool)>>>;

struct Trial {
    desk: Desk,
    settings: Settings,
    events: Told,
    health: Health,
    valid: Valid,
    levels: Arc<Mutex<Vec<Level>>>,
    folder: TempDir,
}

impl Trial {
    /// With a key in the folder, or without.
    fn new(key: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(key) = key {
            write_key(folder.path(), key);
        }
        let config = kube::Config::new("http://127.0.0.1:1".parse().expect("an address"));
        let (valid, levels) = (Valid::default(), Arc::<Mutex<Vec<Level>>>::default());
        let (told, level) = (Arc::clone(&valid), Arc::clone(&levels));
        let options = Options {
            namespace: "tekton-chains".to_owned(),
            config_map: "chains-config".to_owned(),
            logging_config_map: "config-logging".to_owned(),
            signing_secrets: folder.path().to_owned(),
            environment: Environment::anonymous(),
            set_log_level: Arc::new(move |to| level.lock().expect("whole").push(to)),
            set_backends: Arc::new(|| {}),
            set_valid: Arc::new(move |subject, valid| {
                told.lock().expect("whole").push((subject, valid));
            }),
        };
        let (events, heard) = Events::for_tests();
        let (sender, settings) = watch::channel(None);
        let (health, client) = (Health::new(), Client::try_from(config).expect("a client"));
        let desk = Desk::new(client, options, events, &health, sender, watch::channel(None).0);
        Self { desk, settings, events: heard, health, valid, levels, folder }
    }

    fn configure(&mut self, version: &str, data: &[(&str, &str)]) {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
        let mut map = ConfigMap { data: Some(data.collect()), ..ConfigMap::default() };
        map.metadata.resource_version = Some(version.to_owned());
        self.desk.configuration(Sight::There(Box::new(map)));
    }

    /// Until the key was looked at.
    async fn look(&mut self) {
        changed(&mut self.desk.key).await;
        self.desk.settle();
    }

    fn active(&self) -> Option<Arc<Active>> {
        self.settings.borrow().clone()
    }

    fn key(&self) -> Option<PublicKey> {
        Some(self.desk.made.as_ref()?.signer.as_ref()?.public_key().clone())
    }

    fn is_valid(&self, subject: Subject) -> Option<bool> {
        let told = self.valid.lock().expect("whole");
        told.iter().rev().find(|(of, _)| *of == subject).map(|(_, valid)| *valid)
    }

    /// Checks the reasons of the Events since the last check.
    #[track_caller]
    fn check_events(&mut self, expect: &[&str]) {
        let told: Vec<_> = self.events.take().into_iter().map(|(reason, _)| reason).collect();
        assert_eq!(told, expect);
    }

    /// Checks how a part is, and that it tells these words.
    #[track_caller]
    fn check_part(&self, part: &str, state: &str, words: &[&str]) {
        let all = format!("{:?}", self.health);
        let (_, told) = all.split_once(&format!("name: {part:?}")).expect("the part");
        let told = told.split("PartState").next().expect("a first");
        assert!(told.contains(&format!("state: {state}")), "{told}");
        for word in words {
            assert!(told.contains(word), "{word:?} is not in {told}");
        }
    }
}

fn write_key(folder: &Path, pem: &str) {
    std::fs::write(folder.join("x509.pem"), pem).expect("written");
}

const CONFIGURATION: &str = "configuration";
const KEY: &str = "signing-key";
const FAULTY: &[(&str, &str)] = &[("artifacts.taskrun.fromat", "in-toto")];
const OFF: &[(&str, &str)] = &[
    ("artifacts.taskrun.signer", "none"),
    ("artifacts.pipelinerun.signer", "none"),
    ("artifacts.oci.signer", "none"),
];

#[tokio::test]
async fn a_faulty_configuration_leaves_the_one_before_in_force() {
    let (key, _) = pem();
    let mut trial = Trial::new(Some(&key));
    trial.check_part(
        CONFIGURATION,
        "Waiting",
        &["reading the ConfigMap tekton-chains/chains-config"],
    );
    trial.configure("1", &[("retry.limit", "7")]);
    trial.look().await;
    let before = trial.active().expect("settings");
    assert_eq!(before.retry.limit, 7);
    trial.check_part(CONFIGURATION, "Ok", &["ConfigMap tekton-chains/chains-config, version 1"]);
    trial.check_part(KEY, "Ok", &["SHA256:"]);
    trial.configure("2", FAULTY);
    trial.configure("3", FAULTY);
    assert!(Arc::ptr_eq(&before, &trial.active().expect("settings")));
    assert_eq!(trial.is_valid(Subject::Configuration), Some(false));
    trial.check_events(&["ConfigurationRefused"]);
    trial.check_part(CONFIGURATION, "Ok", &["version 1; version 3 is refused", "did you mean"]);
    trial.configure("4", &[("retry.limit", "8")]);
    assert_eq!(trial.active().expect("settings").retry.limit, 8);
    assert_eq!(trial.is_valid(Subject::Configuration), Some(true));
    trial.check_events(&["ConfigurationApplied"]);
}

#[tokio::test]
async fn without_any_good_configuration_nothing_is_signed() {
    let (key, _) = pem();
    let mut trial = Trial::new(Some(&key));
    let refused = Error::new(ErrorKind::Unauthorized, "reading the ConfigMap: forbidden");
    trial.desk.configuration(Sight::Unknown(refused));
    trial.check_part(CONFIGURATION, "Waiting", &["forbidden"]);
    trial.configure("1", FAULTY);
    assert!(trial.active().is_none());
    trial.check_part(CONFIGURATION, "Faulty", &["version 1 is refused: "]);
    trial.check_events(&["ConfigurationRefused"]);
    trial.desk.configuration(Sight::Gone);
    assert!(trial.active().is_none(), "nothing is guessed");
    trial.check_part(CONFIGURATION, "Waiting", &["there is no such ConfigMap"]);
    trial.configure("2", &[]);
    trial.look().await;
    assert_eq!(trial.active().expect("settings").retry.limit, 3);
}

#[tokio::test]
async fn a_deleted_configuration_stays_in_force() {
    let (key, _) = pem();
    let mut trial = Trial::new(Some(&key));
    trial.configure("1", &[("retry.limit", "7")]);
    trial.look().await;
    for _ in 0..2 {
        trial.desk.configuration(Sight::Gone);
    }
    assert_eq!(trial.active().expect("settings").retry.limit, 7);
    trial.check_events(&["ConfigurationDeleted"]);
    trial.check_part(CONFIGURATION, "Ok", &["the ConfigMap was deleted"]);
    trial.configure("9", &[("retry.limit", "7")]);
    trial.check_events(&["ConfigurationApplied"]);
    trial.check_part(CONFIGURATION, "Ok", &["version 9\""]);
}

#[tokio::test(start_paused = true)]
async fn signing_waits_while_the_key_is_missing() {
    let mut trial = Trial::new(None);
    trial.configure("1", &[]);
    trial.look().await;
    assert!(trial.active().is_none());
    trial.check_events(&["SigningKeyMissing"]);
    trial.check_part(KEY, "Waiting", &["no private key in /", "signing waits"]);
    assert_eq!(trial.is_valid(Subject::SigningKey), Some(false));
    let (key, public) = pem();
    write_key(trial.folder.path(), &key);
    trial.look().await;
    assert!(trial.active().is_some());
    assert_eq!(trial.key(), Some(public));
    trial.check_events(&["SigningKeyLoaded"]);
    std::fs::remove_file(trial.folder.path().join("x509.pem")).expect("removed");
    trial.look().await;
    assert!(trial.active().is_none());
    trial.check_events(&["SigningKeyMissing"]);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_swapped_in_and_a_broken_one_is_not() {
    let ((first, _), (second, second_public)) = (pem(), pem());
    let mut trial = Trial::new(Some(&first));
    trial.configure("1", &[]);
    trial.look().await;
    let before = trial.active().expect("settings");
    write_key(trial.folder.path(), "half");
    trial.look().await;
    assert!(Arc::ptr_eq(&before, &trial.active().expect("settings")));
    trial.check_events(&["SigningKeyUnusable"]);
    trial.check_part(KEY, "Ok", &["still signs"]);
    write_key(trial.folder.path(), &second);
    trial.look().await;
    assert!(!Arc::ptr_eq(&before, &trial.active().expect("settings")));
    assert_eq!(trial.key(), Some(second_public));
    trial.check_events(&["SigningKeyLoaded"]);
}

#[tokio::test]
async fn the_key_outlives_changes_of_the_configuration() {
    let (key, _) = pem();
    let mut trial = Trial::new(Some(&key));
    trial.configure("1", &[]);
    trial.look().await;
    let signer = |trial: &Trial| {
        trial.desk.made.as_ref().and_then(|made| made.signer.clone()).expect("a key")
    };
    let before = signer(&trial);
    trial.configure("2", &[("builder.id", "https://ci.example.com")]);
    assert!(Arc::ptr_eq(&before, &signer(&trial)));
    let active = trial.active().expect("settings");
    trial.configure("3", &[("builder.id", "https://ci.example.com")]);
    assert!(Arc::ptr_eq(&active, &trial.active().expect("settings")));
    trial.check_events(&[]);
}

#[tokio::test]
async fn no_key_is_looked_for_where_none_is_needed() {
    let mut trial = Trial::new(None);
    trial.configure("1", OFF);
    assert!(trial.active().is_some());
    trial.check_part(KEY, "Ok", &["not needed"]);
    trial.check_events(&[]);
    trial.configure("2", &[]);
    trial.look().await;
    assert!(trial.active().is_none());
    trial.check_events(&["SigningKeyMissing"]);
    trial.configure("3", OFF);
    assert!(trial.active().is_some());
}

#[tokio::test]
async fn another_place_without_a_key_stops_the_key_before() {
    let (key, _) = pem();
    let mut trial = Trial::new(Some(&key));
    trial.configure("1", &[]);
    trial.look().await;
    trial.configure("2", &[("signers.x509.key", "/no/such/folder")]);
    assert!(trial.active().is_some(), "until the other place was looked at");
    trial.look().await;
    assert!(trial.active().is_none());
    trial.check_part(KEY, "Waiting", &["no private key in /no/such/folder"]);
    trial.configure("3", &[]);
    trial.look().await;
    assert!(trial.active().is_some());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told() {
    let mut trial = Trial::new(None);
    trial.configure("1", &[("signers.x509.key", "k8s://ci/keys")]);
    trial.look().await;
    assert!(trial.active().is_none());
    trial.check_part(KEY, "Faulty", &["reading the Secret k8s://ci/keys: "]);
    trial.check_events(&["SigningKeyUnusable"]);
}

#[tokio::test]
async fn the_level_of_the_log_follows_its_config_map() {
    let mut trial = Trial::new(None);
    let map = |level: &str| {
        let data = BTreeMap::from([("loglevel.watcher".to_owned(), level.to_owned())]);
        Sight::There(Box::new(ConfigMap { data: Some(data), ..ConfigMap::default() }))
    };
    trial.desk.logging(map("debug"));
    trial.desk.logging(Sight::Unknown(Error::new(ErrorKind::Unauthorized, "forbidden")));
    trial.desk.logging(Sight::Gone);
    assert_eq!(*trial.levels.lock().expect("whole"), [Level::DEBUG, Level::INFO]);
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let Trial { desk, .. } = Trial::new(None);
    let options = desk.options;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let (events, health) = (Events::for_tests().0, Health::new());
    let (mut settings, _, task) =
        super::super::start(desk.client, options, events, &health, stopped);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!task.is_finished());
    drop(stop);
    task.await.expect("no panic");
    assert!(settings.changed().await.is_err());
}
