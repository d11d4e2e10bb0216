//! Values that must go together: what a chosen store or signer needs, and what it cannot hold.

use crate::draft::{ArtifactDraft, Draft, KafkaDraft, PubSubKind};
use crate::{
    EncodingFormat, ExtraSection, ExtraStore, Fault, FormatName, KafkaSaslMechanism, RekorVersion,
    SignerName, StorageName, TransparencyMode,
};

/// Everything that does not go together.
pub(crate) fn together(draft: &Draft) -> Vec<Fault> {
    let mut faults = Vec::new();
    for run in runs(draft) {
        check_run(run, &mut faults);
    }
    check_images(draft, &mut faults);
    let extras = draft.extras.iter().map(|store| StorageName::Extra(store));
    for storage in StorageName::ALL.iter().copied().chain(extras) {
        if let Some(by) = chosen_by(draft, |artifact| artifact.storage.contains(&storage)) {
            let why = format!("must be set: `{by}.storage` names `{storage}`");
            let missing = missing_for_storage(draft, storage);
            faults.extend(missing.into_iter().map(|key| Fault::of(key, why.clone())));
        }
    }
    let kafka = |artifact: &ArtifactDraft| artifact.storage.contains(&StorageName::PubSub);
    if draft.pubsub_provider == Some(PubSubKind::Kafka) && chosen_by(draft, kafka).is_some() {
        check_kafka(&draft.kafka, &mut faults);
    }
    if let Some(by) = chosen_by(draft, |artifact| artifact.signer == Some(SignerName::Kms)) {
        check_kms(draft, by, &mut faults);
    }
    check_keyless(draft, &mut faults);
    faults
}

/// What a signature with a certificate needs to be verified once the certificate has ended.
fn check_keyless(draft: &Draft, faults: &mut Vec<Fault>) {
    let signs = |artifact: &ArtifactDraft| {
        draft.fulcio_enabled && artifact.signer.is_none_or(|signer| signer == SignerName::X509)
    };
    if chosen_by(draft, signs).is_none() {
        return;
    }
    let mut fault = |key: &str, why: &str| {
        let why = format!("{why}: `signers.x509.fulcio.enabled` is `true`");
        faults.push(Fault::of(key, why));
    };
    if !draft.log_required {
        let why = "a signature with a certificate of Fulcio cannot be verified without its entry";
        fault("transparency.required", why);
    }
    let logs = draft.transparency.is_some_and(|mode| mode != TransparencyMode::Disabled);
    if !logs || draft.rekor_version != Some(RekorVersion::V2) {
        return;
    }
    if draft.timestamp_urls.is_empty() && draft.signing_config.is_none() {
        let why = "must be set, or `sigstore.signing-config`: entries of Rekor v2 tell no time, and \
                   certificates need one";
        fault("transparency.tsa.url", why);
    }
    let in_tags =
        |artifact: &ArtifactDraft| signs(artifact) && artifact.storage.contains(&StorageName::Oci);
    if draft.oci_encoding != Some(EncodingFormat::SigstoreBundle)
        && chosen_by(draft, in_tags).is_some()
    {
        let why = "must be `sigstore-bundle`: `dsse` has no place for entries of Rekor v2, and \
                   certificates are not verified without";
        fault("storage.oci.encoding-format", why);
    }
}

/// An artifact with the first part of its keys.
type Named<'a> = (&'static str, &'a ArtifactDraft);

fn runs(draft: &Draft) -> [Named<'_>; 2] {
    [("artifacts.taskrun", &draft.taskrun), ("artifacts.pipelinerun", &draft.pipelinerun)]
}

fn images(draft: &Draft) -> Named<'_> {
    ("artifacts.oci", &draft.oci)
}

/// The first enabled artifact of which this holds.
fn chosen_by(draft: &Draft, holds: impl Fn(&ArtifactDraft) -> bool) -> Option<&'static str> {
    let images_enabled = draft.oci.signer != Some(SignerName::None);
    let images = images_enabled.then(|| images(draft));
    runs(draft)
        .into_iter()
        .chain(images)
        .find(|(_, artifact)| !artifact.storage.is_empty() && holds(artifact))
        .map(|(name, _)| name)
}

/// Stores that cannot hold what is made of a run.
fn check_run((name, run): Named<'_>, faults: &mut Vec<Fault>) {
    if run.signer == Some(SignerName::None) {
        let refused = names(run, |storage| !storage.capabilities().unsigned);
        if !refused.is_empty() {
            let why = format!("`none` leaves statements unsigned, and {refused} cannot hold those");
            faults.push(Fault::of(&format!("{name}.signer"), why));
        }
    }
    if run.format == Some(FormatName::Tekton) {
        let refused = names(run, |storage| !storage.takes_any_payload());
        if !refused.is_empty() {
            let why = format!("`tekton` is no in-toto statement, and {refused} cannot hold it");
            faults.push(Fault::of(&format!("{name}.format"), why));
        }
    }
}

/// Stores that cannot hold image signatures.
fn check_images(draft: &Draft, faults: &mut Vec<Fault>) {
    let (name, images) = images(draft);
    if images.signer == Some(SignerName::None) {
        return;
    }
    let refused = names(images, |storage| !storage.capabilities().detached);
    if !refused.is_empty() {
        let why =
            format!("an image signature is not a DSSE envelope, and {refused} cannot hold it");
        faults.push(Fault::of(&format!("{name}.storage"), why));
    }
}

fn names(artifact: &ArtifactDraft, refused: impl Fn(StorageName) -> bool) -> String {
    let names: Vec<_> = artifact
        .storage
        .iter()
        .filter(|storage| refused(**storage))
        .map(|storage| format!("`{storage}`"))
        .collect();
    names.join(", ")
}

/// Keys that the store needs and that are not set.
fn missing_for_storage(draft: &Draft, storage: StorageName) -> Vec<&'static str> {
    let kafka = draft.pubsub_provider == Some(PubSubKind::Kafka);
    let needs: &[(&'static str, bool)] = match storage {
        StorageName::Tekton | StorageName::Oci | StorageName::Local => &[],
        StorageName::Extra(store) => return missing_for_extra(draft, store),
        StorageName::Gcs => &[("storage.gcs.bucket", draft.gcs_bucket.is_some())],
        StorageName::S3 => &[("storage.s3.bucket", draft.s3_bucket.is_some())],
        StorageName::AzBlob => &[
            ("storage.azblob.account", draft.azblob_account.is_some()),
            ("storage.azblob.container", draft.azblob_container.is_some()),
        ],
        StorageName::DocDb => &[("storage.docdb.url", draft.docdb_url.is_some())],
        StorageName::Grafeas => &[("storage.grafeas.projectid", draft.grafeas_project.is_some())],
        StorageName::PubSub => &[
            ("storage.pubsub.provider", draft.pubsub_provider.is_some()),
            ("storage.pubsub.topic", draft.pubsub_topic.is_some()),
            ("storage.pubsub.kafka.bootstrap.servers", !kafka || !draft.kafka_servers.is_empty()),
        ],
        StorageName::Archivista => &[("storage.archivista.url", draft.archivista_url.is_some())],
    };
    needs.iter().filter(|(_, is_set)| !is_set).map(|(key, _)| *key).collect()
}

fn missing_for_extra(draft: &Draft, store: &ExtraStore) -> Vec<&'static str> {
    let section = draft.extra_sections.get(store.name).unwrap_or(ExtraSection::EMPTY);
    let required = store.keys.iter().filter(|key| key.required);
    required.map(|key| key.name).filter(|name| section.get(name).is_none()).collect()
}

/// What goes with TLS and SASL.
fn check_kafka(kafka: &KafkaDraft, faults: &mut Vec<Fault>) {
    let mut fault = |name: &str, why: &str| {
        faults.push(Fault::of(&format!("storage.pubsub.kafka.{name}"), why));
    };
    if kafka.ca_path.is_some() && !kafka.tls {
        fault("tls.enabled", "must be `true` where `storage.pubsub.kafka.tls.ca-path` is set");
    }
    let Some(mechanism) = kafka.mechanism else {
        if kafka.username.is_some() || kafka.password_path.is_some() {
            let why = "must be set where there is a user or a password: nobody logs in without it";
            fault("sasl.mechanism", why);
        }
        return;
    };
    let why = "must be set where there is `storage.pubsub.kafka.sasl.mechanism`";
    if kafka.username.is_none() {
        fault("sasl.username", why);
    }
    if kafka.password_path.is_none() {
        fault("sasl.password-path", why);
    }
    if mechanism == KafkaSaslMechanism::Plain && !kafka.tls {
        let why = "must be `true` with the mechanism `PLAIN`, which shows the password to whoever \
                   listens: set it, or use `SCRAM-SHA-512`";
        fault("tls.enabled", why);
    }
}

fn check_kms(draft: &Draft, by: &str, faults: &mut Vec<Fault>) {
    let needs = [
        ("signers.kms.kmsref", draft.kms_ref.is_some()),
        (
            "signers.kms.auth.spire.audience",
            draft.spire_socket.is_none() || draft.spire_audience.is_some(),
        ),
    ];
    let why = format!("must be set: `{by}.signer` is `kms`");
    let missing = needs.iter().filter(|(_, is_set)| !is_set);
    faults.extend(missing.map(|(key, _)| Fault::of(key, why.clone())));
}
