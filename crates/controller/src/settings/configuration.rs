//! What is made of the ConfigMap.

use std::sync::Arc;

use chains_backends::{Environment, Registry};
use chains_config::{Config, Layers, Origin, SignerName};
use chains_core::{Error, Result};
use chains_engine::Engine;
use chains_signer_x509::X509Signer;
use k8s_openapi::api::core::v1::ConfigMap;

/// Faults are told in so many bytes at most: a ConfigMap may hold a MiB of them.
const LONGEST: usize = 16 * 1024;

/// Reads and checks everything that the ConfigMap says.
///
/// # Errors
/// All faults of it, in one line that holds no secret.
pub(super) fn read(map: &ConfigMap, registry: &Registry) -> Result<Config, String> {
    let data = map.data.iter().flatten().map(|(key, text)| (key.clone(), text.clone()));
    let binary = map.binary_data.iter().flatten().map(|(key, _)| key);
    let layers = Layers::new().extra_stores(registry.sections());
    let layers = layers.pairs(Origin::File, data).binary(binary);
    layers.resolve().map_err(|faults| shorten(faults.to_string()))
}

/// Whether a key at hand signs anything.
pub(super) fn needs_key(config: &Config) -> bool {
    config.signers_in_use().contains(&SignerName::X509) && !config.signers.x509.fulcio.enabled
}

/// Whether the same engine does for both.
pub(super) fn same_engine(one: &Config, other: &Config) -> bool {
    // All but the filter and the retries, and where values come from.
    let Config {
        artifacts, storage, signers, builder_id, build_type, transparency, sigstore, ..
    } = one;
    *artifacts == other.artifacts
        && *storage == other.storage
        && *signers == other.signers
        && *builder_id == other.builder_id
        && *build_type == other.build_type
        && *transparency == other.transparency
        && *sigstore == other.sigstore
}

/// Builds the engine that signs with this key.
///
/// # Errors
/// As [`chains_backends::engine`].
pub(super) fn engine(
    config: &Config,
    environment: &Environment,
    signer: Option<Arc<X509Signer>>,
) -> Result<Engine> {
    let x509 = signer.map(|signer| signer as Arc<dyn chains_core::Signer>);
    chains_backends::engine(config, &Environment { x509, ..environment.clone() })
}

/// What is wrong with the configuration beyond its values, whatever the key: a backend that is not built in, or
/// whose options cannot be used. Takes microseconds.
///
/// # Errors
/// As [`chains_backends::engine`], in one line.
pub(super) fn check(config: &Config, environment: &Environment) -> Result<(), String> {
    let missing = chains_backends::not_built_in(config);
    if !missing.is_empty() {
        return Err(format!("not built into this program: {}", missing.join(", ")));
    }
    let x509: Arc<dyn chains_core::Signer> = Arc::new(NoKey);
    let environment = Environment { x509: Some(x509), ..environment.clone() };
    let built = chains_backends::engine(config, &environment);
    built.map(drop).map_err(|error| shorten(error.report()))
}

fn shorten(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Stands in for the key while a configuration is checked; never signs.
#[derive(Debug)]
struct NoKey;

#[async_trait::async_trait]
impl chains_core::Signer for NoKey {
    fn name(&self) -> &str {
        "x509"
    }

    async fn material(&self) -> Result<Arc<chains_core::VerificationMaterial>> {
        Err(no_key())
    }

    async fn sign(&self, _message: &[u8]) -> Result<chains_core::Signature> {
        Err(no_key())
    }
}

fn no_key() -> Error {
    Error::new(chains_core::ErrorKind::Internal, "signing without a key")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    fn map(data: &[(&str, &str)]) -> ConfigMap {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
        ConfigMap { data: Some(data.collect()), ..ConfigMap::default() }
    }

    fn read_plain(map: &ConfigMap) -> Result<Config, String> {
        read(map, &Registry::default())
    }

    #[track_caller]
    fn check_read(data: &[(&str, &str)], expect: Result<(), &str>) {
        let environment = Environment::anonymous();
        let read =
            read(&map(data), &environment.registry).and_then(|config| check(&config, &environment));
        assert_eq!(read, expect.map_err(str::to_owned), "{data:?}");
    }

    #[test]
    fn faults_are_all_told_and_no_secret() {
        check_read(&[], Ok(()));
        check_read(&[("artifacts.taskrun.format", "slsa/v2alpha4"), ("_example", "x")], Ok(()));
        let unknown =
            "`artifacts.taskrun.fromat`: unknown key: did you mean `artifacts.taskrun.format`?";
        let value = "`artifacts.oci.signer`: \"pgp\" is not one of x509, kms, none";
        check_read(
            &[("artifacts.oci.signer", "pgp"), ("artifacts.taskrun.fromat", "x")],
            Err(&format!("{unknown}; {value}")),
        );
        let Err(told) = read_plain(&map(&[("storage.docdb.mongo-server-url", "sesame")])) else {
            panic!("it is taken");
        };
        assert!(!told.contains("sesame"), "{told}");
        assert!(read_plain(&ConfigMap::default()).is_ok());
        let binary = BTreeMap::from([("builder.id".to_owned(), ByteString(Vec::new()))]);
        let binary = ConfigMap { binary_data: Some(binary), ..ConfigMap::default() };
        let told = "`builder.id`: is in binaryData, which is not read: put it into data";
        assert_eq!(read_plain(&binary).expect_err("it is taken"), told);
    }

    #[test]
    fn services_of_sigstore_and_of_keys_are_asked_for_nothing_while_it_is_checked() {
        check_read(&[("transparency.enabled", "true")], Ok(()));
        let keyless = [
            ("signers.x509.fulcio.enabled", "true"),
            ("signers.x509.fulcio.address", "http://127.0.0.1:1"),
            ("transparency.enabled", "true"),
            ("transparency.url", "http://127.0.0.1:1"),
            ("sigstore.trusted-root", "/there/is/none"),
            ("storage.oci.encoding-format", "sigstore-bundle"),
        ];
        check_read(&keyless, Ok(()));
        check_read(
            &[
                ("artifacts.taskrun.signer", "kms"),
                ("signers.kms.kmsref", "hashivault://chains"),
                ("signers.kms.auth.address", "http://127.0.0.1:1"),
                ("signers.kms.auth.token", "sesame"),
                ("signers.kms.auth.token-path", "/there/is/none"),
            ],
            Ok(()),
        );
    }

    #[test]
    fn faults_without_end_are_cut() {
        let keys: Vec<String> = (0..2000).map(|number| format!("unknown.{number}")).collect();
        let data: Vec<_> = keys.iter().map(|key| (key.as_str(), "x")).collect();
        let told = read_plain(&map(&data)).expect_err("it is taken");
        assert!(told.len() <= LONGEST + 3 && told.ends_with('…'), "{}", told.len());
    }

    #[test]
    fn a_key_is_needed_where_something_is_signed_with_it() {
        let check = |data: &[(&str, &str)], expect: bool| {
            assert_eq!(needs_key(&read_plain(&map(data)).expect("good")), expect, "{data:?}");
        };
        check(&[], true);
        check(&[("artifacts.taskrun.storage", ""), ("artifacts.pipelinerun.storage", "")], true);
        let off = [
            ("artifacts.taskrun.storage", ""),
            ("artifacts.pipelinerun.storage", ""),
            ("artifacts.oci.storage", ""),
        ];
        check(&off, false);
        let none = [
            ("artifacts.taskrun.signer", "none"),
            ("artifacts.pipelinerun.signer", "none"),
            ("artifacts.oci.signer", "none"),
        ];
        check(&none, false);
        check(&[("signers.x509.fulcio.enabled", "true")], false);
    }

    #[test]
    fn engines_are_kept_where_nothing_of_theirs_changed() {
        let check = |data: &[(&str, &str)], expect: bool| {
            let changed = read_plain(&map(data)).expect("good");
            assert_eq!(same_engine(&Config::default(), &changed), expect, "{data:?}");
        };
        check(&[], true);
        check(&[("retry.limit", "7"), ("filter.managed-by", "x")], true);
        check(&[("artifacts.taskrun.format", "in-toto")], true);
        check(&[("artifacts.taskrun.format", "slsa/v2alpha4")], false);
        check(&[("builder.id", "x")], false);
        check(&[("storage.oci.repository", "a.example.com/xy")], false);
        check(&[("artifacts.pipelinerun.enable-deep-inspection", "true")], false);
    }
}
