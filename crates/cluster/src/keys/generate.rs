//! Making the Secret with a new key pair.

use std::collections::BTreeMap;

use chains_core::{Error, ErrorKind, PublicKey, Result, Secret as Password};
use chains_signer_x509::{
    COSIGN_KEY, COSIGN_PASSWORD, COSIGN_PUBLIC_KEY, KeyKind, KeyPair, X509_KEY,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Client};

use super::{api, entry, find};
use crate::{FIELD_MANAGER, SecretRef};

/// How often it is begun anew where others write the same Secret.
const ATTEMPTS: usize = 5;

/// What [`generate`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The public half of the new pair.
    pub public_key: PublicKey,
    /// The Secret had keys, and has the new ones in their place.
    ///
    /// Pods that mount it may keep the old ones until they are started anew: a Secret that is immutable is not
    /// watched for them.
    pub replaced: bool,
}

/// Checks that [`generate`] would not refuse: before a password is asked for.
///
/// # Errors
/// Where the Secret has keys and `force` is not given, and those of [`super::fetch`].
pub async fn check_vacant(client: &Client, at: &SecretRef, force: bool) -> Result<()> {
    let existing = find(client, at).await?;
    existing.map_or(Ok(()), |secret| may_replace(&secret, at, force).map(drop))
}

/// Makes a key pair and the Secret that `cosign generate-key-pair k8s://…` makes: `cosign.key` encrypted with
/// the password, `cosign.pub`, `cosign.password`, immutable.
///
/// A Secret that is there and has no keys is filled; its other entries, labels and annotations stay. Takes some
/// tenths of a second of the calling thread.
///
/// # Errors
/// [`ErrorKind::Conflict`] where the Secret has keys and `force` is not given; where the API server refuses or
/// cannot be reached.
pub async fn generate(
    client: &Client,
    at: &SecretRef,
    kind: KeyKind,
    password: &Password,
    force: bool,
) -> Result<Generated> {
    let pair = KeyPair::generate(kind)?;
    let entries = entries(&pair, password)?;
    let secrets = api(client, at);
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        let existing = find(client, at).await?;
        let replaced = match &existing {
            Some(secret) => may_replace(secret, at, force)?,
            None => false,
        };
        match put(&secrets, at, existing, &entries).await {
            Ok(()) => return Ok(Generated { public_key: pair.public_key().clone(), replaced }),
            Err(error) if error.kind() == ErrorKind::Conflict => conflict = Some(error),
            Err(error) => return Err(error),
        }
    }
    let lost = || Error::new(ErrorKind::Conflict, format!("writing the Secret {at}"));
    Err(conflict.unwrap_or_else(lost))
}

fn entries(pair: &KeyPair, password: &Password) -> Result<BTreeMap<String, ByteString>> {
    let entry = |name: &str, text: &str| (name.to_owned(), ByteString(text.as_bytes().to_vec()));
    Ok(BTreeMap::from([
        entry(COSIGN_KEY, &pair.private_pem_encrypted(password)?),
        entry(COSIGN_PASSWORD, password.expose()),
        entry(COSIGN_PUBLIC_KEY, &pair.public_pem()?),
    ]))
}

/// Whether there are keys to replace.
fn may_replace(secret: &Secret, at: &SecretRef, force: bool) -> Result<bool> {
    let names = [X509_KEY, COSIGN_KEY, COSIGN_PUBLIC_KEY, COSIGN_PASSWORD];
    let held = |name: &&str| entry(secret, name).is_some_and(|bytes| !bytes.is_empty());
    let Some(name) = names.iter().find(|name| held(name)) else {
        return Ok(false);
    };
    if force {
        return Ok(true);
    }
    Err(Error::new(ErrorKind::Conflict, format!("the Secret {at} has {name} already")))
}

async fn put(
    secrets: &Api<Secret>,
    at: &SecretRef,
    existing: Option<Secret>,
    entries: &BTreeMap<String, ByteString>,
) -> Result<()> {
    let parameters =
        PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let wanted = wanted(existing.as_ref(), at, entries);
    match existing {
        Some(old) if old.immutable != Some(true) => secrets
            .replace(at.name(), &parameters, &wanted)
            .await
            .map(drop)
            .map_err(|e| crate::error(format!("filling the Secret {at}"), e)),
        Some(old) => {
            delete(secrets, at, &old).await?;
            secrets.create(&parameters, &wanted).await.map(drop).map_err(|e| {
                let what = format!("making the Secret {at} anew, after the old one was deleted");
                crate::error(what, e)
            })
        }
        None => secrets
            .create(&parameters, &wanted)
            .await
            .map(drop)
            .map_err(|e| crate::error(format!("making the Secret {at}"), e)),
    }
}

/// The Secret with the new entries, and all else that it had.
fn wanted(
    existing: Option<&Secret>,
    at: &SecretRef,
    entries: &BTreeMap<String, ByteString>,
) -> Secret {
    let mut data = existing.and_then(|old| old.data.clone()).unwrap_or_default();
    // It would be signed with in place of the new key.
    data.remove(X509_KEY);
    data.extend(entries.clone());
    let old = existing.map(|old| old.metadata.clone()).unwrap_or_default();
    // An immutable Secret is made anew, and nothing is made with a version.
    let updated = existing.is_some_and(|old| old.immutable != Some(true));
    Secret {
        metadata: ObjectMeta {
            namespace: Some(at.namespace().to_owned()),
            name: Some(at.name().to_owned()),
            labels: old.labels,
            annotations: old.annotations,
            owner_references: old.owner_references,
            finalizers: old.finalizers,
            resource_version: old.resource_version.filter(|_| updated),
            ..ObjectMeta::default()
        },
        data: Some(data),
        immutable: Some(true),
        type_: Some(existing.and_then(|old| old.type_.clone()).unwrap_or("Opaque".to_owned())),
        ..Secret::default()
    }
}

/// Nothing in an immutable Secret can be changed: it is deleted, where nobody touched it meanwhile.
async fn delete(secrets: &Api<Secret>, at: &SecretRef, old: &Secret) -> Result<()> {
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: old.metadata.uid.clone(),
            resource_version: old.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    match secrets.delete(at.name(), &parameters).await {
        Ok(_) => Ok(()),
        // It is gone, which is what was wanted.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(crate::error(format!("deleting the immutable Secret {at}"), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(entries: &[(&str, &str)]) -> Secret {
        let entry = |(name, text): &(&str, &str)| {
            ((*name).to_owned(), ByteString(text.as_bytes().to_vec()))
        };
        Secret { data: Some(entries.iter().map(entry).collect()), ..Secret::default() }
    }

    fn at() -> SecretRef {
        "k8s://tekton-chains/signing-secrets".parse().unwrap()
    }

    #[test]
    fn only_keys_are_kept_from_being_replaced() {
        let check = |entries: &[(&str, &str)], refused: Option<&str>| {
            let secret = with(entries);
            let found = may_replace(&secret, &at(), false).map_err(|error| error.report());
            let refused = refused.map(|name| format!("the Secret {} has {name} already", at()));
            assert_eq!(found.err(), refused);
            assert_eq!(may_replace(&secret, &at(), true).unwrap(), refused.is_some());
        };
        check(&[], None);
        check(&[("other", "x"), ("cosign.key", "")], None);
        check(&[("x509.pem", "x")], Some("x509.pem"));
        check(&[("cosign.password", "x")], Some("cosign.password"));
        check(&[("cosign.pub", "x"), ("cosign.key", "x")], Some("cosign.key"));
        assert!(!may_replace(&Secret::default(), &at(), false).unwrap());
    }

    #[test]
    fn what_else_the_secret_has_stays() {
        let mut old = with(&[("x509.pem", "old"), ("other", "kept")]);
        old.metadata.labels = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        old.metadata.resource_version = Some("7".to_owned());
        old.metadata.uid = Some("gone".to_owned());
        old.type_ = Some("example.com/keys".to_owned());
        let new = BTreeMap::from([("cosign.key".to_owned(), ByteString(b"new".to_vec()))]);
        let made = wanted(Some(&old), &at(), &new);
        let names: Vec<_> = made.data.as_ref().unwrap().keys().cloned().collect();
        assert_eq!(names, ["cosign.key", "other"]);
        assert_eq!(made.metadata.labels, old.metadata.labels);
        assert_eq!(made.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!((made.metadata.uid.clone(), made.immutable), (None, Some(true)));
        assert_eq!(made.type_, old.type_);
        old.immutable = Some(true);
        assert_eq!(wanted(Some(&old), &at(), &new).metadata.resource_version, None);
        assert_eq!(wanted(None, &at(), &new).type_.as_deref(), Some("Opaque"));
    }
}
