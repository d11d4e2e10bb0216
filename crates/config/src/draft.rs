//! The configuration while it is being read: every value in its type, none of them required yet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use chains_core::{ImageName, Secret};

use crate::layers::Setting;
use crate::{
    Archivista, Artifact, Artifacts, AzBlob, BuildType, Config, DocDb, EncodingFormat,
    ExtraSection, ExtraStore, Filter, FormatName, Fulcio, FulcioProvider, Gcs, Grafeas, Kafka,
    KafkaCompression, KafkaSasl, KafkaSaslMechanism, KafkaTls, Kms, KmsAuth, KmsOidc, KmsRef,
    KmsSpire, LocalStorage, MongoServer, OciStorage, PubSub, PubSubProvider, RekorVersion, Retry,
    S3, ServiceUrl, SignerName, Signers, Sigstore, Storage, StorageName, Transparency,
    TransparencyMode, X509, X509Key,
};

/// One field for each key. Whatever the table gives a default is filled from there; what remains
/// `None` in spite of a default was at fault, and the caller returns the faults.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) taskrun: ArtifactDraft,
    pub(crate) pipelinerun: ArtifactDraft,
    pub(crate) oci: ArtifactDraft,
    pub(crate) deep_inspection: bool,
    pub(crate) images_from_pipelinerun_results: bool,
    pub(crate) managed_by: BTreeSet<String>,
    pub(crate) retry_limit: u32,
    pub(crate) retry_total_time: Duration,
    pub(crate) builder_id: String,
    pub(crate) build_type: Option<BuildType>,
    pub(crate) gcs_bucket: Option<String>,
    pub(crate) s3_bucket: Option<String>,
    pub(crate) s3_endpoint: Option<ServiceUrl>,
    pub(crate) s3_region: Option<String>,
    pub(crate) s3_path_style: Option<bool>,
    pub(crate) s3_prefix: Option<String>,
    pub(crate) azblob_account: Option<String>,
    pub(crate) azblob_container: Option<String>,
    pub(crate) azblob_endpoint: Option<ServiceUrl>,
    pub(crate) azblob_prefix: Option<String>,
    pub(crate) oci_repository: Option<ImageName>,
    pub(crate) oci_insecure: bool,
    pub(crate) oci_encoding: Option<EncodingFormat>,
    pub(crate) docdb_url: Option<String>,
    pub(crate) mongo_path: Option<PathBuf>,
    pub(crate) mongo_dir: Option<PathBuf>,
    pub(crate) mongo_url: Option<Secret>,
    pub(crate) grafeas_project: Option<String>,
    pub(crate) grafeas_note: Option<String>,
    pub(crate) grafeas_hint: String,
    pub(crate) grafeas_endpoint: Option<ServiceUrl>,
    pub(crate) pubsub_provider: Option<PubSubKind>,
    pub(crate) pubsub_topic: Option<String>,
    pub(crate) kafka_servers: Vec<String>,
    pub(crate) kafka: KafkaDraft,
    pub(crate) archivista_url: Option<ServiceUrl>,
    pub(crate) local_path: PathBuf,
    /// What stores there are besides.
    pub(crate) extras: Vec<&'static ExtraStore>,
    pub(crate) extra_sections: BTreeMap<&'static str, ExtraSection>,
    pub(crate) transparency: Option<TransparencyMode>,
    pub(crate) transparency_url: Option<ServiceUrl>,
    pub(crate) rekor_version: Option<RekorVersion>,
    pub(crate) timestamp_urls: Vec<ServiceUrl>,
    pub(crate) log_required: bool,
    pub(crate) trusted_root: Option<PathBuf>,
    pub(crate) signing_config: Option<PathBuf>,
    pub(crate) x509_key: Option<X509Key>,
    pub(crate) fulcio_enabled: bool,
    pub(crate) fulcio_address: Option<ServiceUrl>,
    pub(crate) fulcio_issuer: Option<ServiceUrl>,
    pub(crate) fulcio_audience: String,
    pub(crate) fulcio_provider: Option<FulcioProvider>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) tuf_mirror: Option<ServiceUrl>,
    pub(crate) tuf_root: Option<PathBuf>,
    pub(crate) kms_ref: Option<KmsRef>,
    pub(crate) kms_address: Option<ServiceUrl>,
    pub(crate) kms_token: Option<Secret>,
    pub(crate) kms_token_path: Option<PathBuf>,
    pub(crate) oidc_path: Option<String>,
    pub(crate) oidc_role: Option<String>,
    pub(crate) oidc_token_path: PathBuf,
    pub(crate) spire_socket: Option<String>,
    pub(crate) spire_audience: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct ArtifactDraft {
    pub(crate) format: Option<FormatName>,
    pub(crate) storage: BTreeSet<StorageName>,
    pub(crate) signer: Option<SignerName>,
}

/// `storage.pubsub.kafka.*` but for the brokers.
#[derive(Debug, Default)]
pub(crate) struct KafkaDraft {
    pub(crate) compression: Option<KafkaCompression>,
    pub(crate) tls: bool,
    pub(crate) ca_path: Option<PathBuf>,
    pub(crate) mechanism: Option<KafkaSaslMechanism>,
    pub(crate) username: Option<String>,
    pub(crate) password_path: Option<PathBuf>,
}

impl KafkaDraft {
    fn finish(self, bootstrap_servers: Vec<String>) -> Kafka {
        let named = self.username.zip(self.password_path);
        let sasl = self.mechanism.zip(named).map(|(mechanism, (username, password_path))| {
            KafkaSasl { mechanism, username, password_path }
        });
        Kafka {
            bootstrap_servers,
            compression: self.compression.unwrap_or(KafkaCompression::None),
            tls: self.tls.then_some(KafkaTls { ca_path: self.ca_path }),
            sasl,
        }
    }
}

/// The word in `storage.pubsub.provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PubSubKind {
    InMemory,
    Kafka,
}

impl PubSubKind {
    pub(crate) const ALL: &[Self] = &[Self::InMemory, Self::Kafka];
    pub(crate) const NAMES: &[&str] = &[Self::InMemory.as_str(), Self::Kafka.as_str()];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InMemory => "inmemory",
            Self::Kafka => "kafka",
        }
    }
}

impl ArtifactDraft {
    fn finish(self, blank: FormatName) -> Artifact {
        Artifact {
            format: self.format.unwrap_or(blank),
            storage: self.storage,
            signer: self.signer.unwrap_or(SignerName::X509),
        }
    }
}

fn url(read: Option<ServiceUrl>) -> ServiceUrl {
    read.unwrap_or_else(ServiceUrl::blank)
}

impl Draft {
    /// Puts the values in their sections.
    pub(crate) fn finish(mut self, settings: Vec<Setting>) -> Config {
        let storage = self.storage();
        let signers = self.signers();
        Config {
            artifacts: Artifacts {
                taskrun: self.taskrun.finish(FormatName::InToto),
                pipelinerun: self.pipelinerun.finish(FormatName::InToto),
                oci: self.oci.finish(FormatName::SimpleSigning),
                deep_inspection: self.deep_inspection,
                images_from_pipelinerun_results: self.images_from_pipelinerun_results,
            },
            storage,
            signers,
            builder_id: self.builder_id,
            build_type: self.build_type.unwrap_or(BuildType::Slsa),
            transparency: Transparency {
                mode: self.transparency.unwrap_or(TransparencyMode::Disabled),
                url: url(self.transparency_url),
                rekor_version: self.rekor_version.unwrap_or(RekorVersion::Auto),
                timestamp_urls: self.timestamp_urls,
                required: self.log_required,
            },
            sigstore: Sigstore {
                trusted_root: self.trusted_root,
                signing_config: self.signing_config,
            },
            filter: Filter { managed_by: self.managed_by },
            retry: Retry { limit: self.retry_limit, total_time: self.retry_total_time },
            settings,
        }
    }

    fn storage(&mut self) -> Storage {
        let mongo = MongoServer {
            path: self.mongo_path.take(),
            dir: self.mongo_dir.take(),
            url: self.mongo_url.take(),
        };
        let note_id = self.grafeas_note.take();
        let note_hint = std::mem::take(&mut self.grafeas_hint);
        let endpoint = self.grafeas_endpoint.take();
        Storage {
            gcs: self.gcs_bucket.take().map(|bucket| Gcs { bucket }),
            s3: self.s3(),
            azblob: self.azblob(),
            oci: OciStorage {
                repository: self.oci_repository.take(),
                insecure: self.oci_insecure,
                encoding: self.oci_encoding.unwrap_or(EncodingFormat::Dsse),
            },
            docdb: self.docdb_url.take().map(|url| DocDb { url, mongo }),
            grafeas: self.grafeas_project.take().map(|project_id| Grafeas {
                project_id,
                note_id,
                note_hint,
                endpoint,
            }),
            pubsub: self.pubsub(),
            archivista: self.archivista_url.take().map(|url| Archivista { url }),
            local: LocalStorage { path: std::mem::take(&mut self.local_path) },
            extras: std::mem::take(&mut self.extra_sections),
        }
    }

    fn s3(&mut self) -> Option<S3> {
        Some(S3 {
            bucket: self.s3_bucket.take()?,
            endpoint: self.s3_endpoint.take(),
            region: self.s3_region.take(),
            path_style: self.s3_path_style.take(),
            prefix: self.s3_prefix.take(),
        })
    }

    fn azblob(&mut self) -> Option<AzBlob> {
        Some(AzBlob {
            account: self.azblob_account.take()?,
            container: self.azblob_container.take()?,
            endpoint: self.azblob_endpoint.take(),
            prefix: self.azblob_prefix.take(),
        })
    }

    fn pubsub(&mut self) -> Option<PubSub> {
        let bootstrap_servers = std::mem::take(&mut self.kafka_servers);
        let provider = match self.pubsub_provider? {
            PubSubKind::InMemory => PubSubProvider::InMemory,
            PubSubKind::Kafka if bootstrap_servers.is_empty() => return None,
            PubSubKind::Kafka => {
                PubSubProvider::Kafka(std::mem::take(&mut self.kafka).finish(bootstrap_servers))
            }
        };
        Some(PubSub { provider, topic: self.pubsub_topic.take()? })
    }

    fn signers(&mut self) -> Signers {
        let audience = self.spire_audience.take();
        let auth = KmsAuth {
            address: self.kms_address.take(),
            token: self.kms_token.take(),
            token_path: self.kms_token_path.take(),
            oidc: KmsOidc {
                path: self.oidc_path.take(),
                role: self.oidc_role.take(),
                token_path: std::mem::take(&mut self.oidc_token_path),
            },
            spire: self.spire_socket.take().map(|socket| KmsSpire { socket, audience }),
        };
        Signers {
            x509: X509 {
                key: self.x509_key.take(),
                fulcio: Fulcio {
                    enabled: self.fulcio_enabled,
                    address: url(self.fulcio_address.take()),
                    issuer: url(self.fulcio_issuer.take()),
                    audience: std::mem::take(&mut self.fulcio_audience),
                    provider: self.fulcio_provider,
                },
                identity_token_file: self.token_file.take(),
                tuf_mirror_url: url(self.tuf_mirror.take()),
                tuf_root: self.tuf_root.take(),
            },
            kms: self.kms_ref.take().map(|key| Kms { key, auth }),
        }
    }
}
