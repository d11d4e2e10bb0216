//! Chains in a cluster, as `deploy/` installs it: names, rights, ConfigMap, Secret. Nothing runs there: a case
//! [starts](crate::controller) the controller itself, with the token of its service account.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{cluster::Cluster, scene::Scene, sigstore::Keys, tls};

/// The namespace of the controller.
pub const NAMESPACE: &str = "tekton-chains";
/// Its service account.
pub const ACCOUNT: &str = "tekton-chains-controller";
/// Its ConfigMap.
pub const CONFIG: &str = "chains-config";
/// Its keys.
pub const SECRET: &str = "signing-secrets";

/// Chains, installed.
#[derive(Debug)]
pub struct Install<'c> {
    cluster: &'c Cluster,
    kubeconfig: PathBuf,
}

impl<'c> Install<'c> {
    /// Applies `deploy/` as it is.
    ///
    /// # Errors
    /// If kubectl fails.
    pub fn apply(scene: &Scene<'_>, cluster: &'c Cluster) -> Result<Self> {
        Self::apply_folder(scene, cluster, &deploy())
    }

    /// Applies a folder that has a kustomization.
    ///
    /// # Errors
    /// If kubectl fails.
    pub fn apply_folder(scene: &Scene<'_>, cluster: &'c Cluster, folder: &Path) -> Result<Self> {
        cluster.kubectl(scene).args(["apply", "--server-side", "-k"]).arg(folder).ok()?;
        let token = cluster.token_of(NAMESPACE, ACCOUNT)?;
        Ok(Self { cluster, kubeconfig: cluster.kubeconfig("controller", &token)? })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &'c Cluster {
        self.cluster
    }

    /// What the controller connects with: its service account, and no rights but those of the manifests.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Sets keys of the ConfigMap and leaves the others.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn configure(&self, settings: &[(&str, &str)]) -> Result<()> {
        let settings: Map<String, Value> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{CONFIG}");
        self.cluster.api().merge(&path, &json!({ "data": settings })).map(drop)
    }

    /// Takes a key out of the ConfigMap.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn unset(&self, key: &str) -> Result<()> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{CONFIG}");
        self.cluster.api().merge(&path, &json!({ "data": { key: null } })).map(drop)
    }

    /// Puts these files into the Secret of the keys, in the place of all others.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn set_secret(&self, files: &[(&str, &[u8])]) -> Result<()> {
        let path = format!("{}/{SECRET}", secrets());
        let there = self.cluster.api().find(&path)?;
        // A merge leaves alone what it does not name.
        let old = there.iter().filter_map(|secret| secret["data"].as_object());
        let mut data: Map<String, Value> =
            old.flat_map(Map::keys).map(|name| (name.clone(), Value::Null)).collect();
        for (name, content) in files {
            data.insert((*name).to_owned(), json!(STANDARD.encode(content)));
        }
        let secret = json!({ "metadata": { "name": SECRET }, "data": data });
        if there.is_some() {
            self.cluster.api().merge(&path, &secret).map(drop)
        } else {
            self.cluster.api().create(&secrets(), &secret).map(drop)
        }
    }

    /// Deletes the Secret of the keys.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn unset_secret(&self) -> Result<()> {
        self.cluster.api().delete(&format!("{}/{SECRET}", secrets()))
    }
}

/// The folder of the manifests.
#[must_use]
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn secrets() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets")
}

/// A Secret as a kubelet mounts it: files are links into a folder that is swapped as a whole.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
    version: std::cell::Cell<usize>,
}

impl Mount {
    /// An empty one: the Secret is optional, and not there.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn empty(scene: &Scene<'_>) -> Result<Self> {
        let folder = scene.path(&scene.fresh("signing-secrets"));
        std::fs::create_dir(&folder).context("make a folder for a mounted Secret")?;
        Ok(Self { folder, version: std::cell::Cell::new(0) })
    }

    /// One with a new key as `x509.pem`, and that key.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn with_key(scene: &Scene<'_>) -> Result<(Self, Keys)> {
        let mount = Self::empty(scene)?;
        let keys = mount.rotate(scene)?;
        Ok((mount, keys))
    }

    /// Swaps in a new key as `x509.pem`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn rotate(&self, scene: &Scene<'_>) -> Result<Keys> {
        let keys = tls::key_pair(scene.folder(), &scene.fresh("x509"))?;
        self.swap(&[("x509.pem", &std::fs::read(&keys.private)?)])?;
        Ok(keys)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes these the content, at once, as a kubelet does when the Secret has changed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn swap(&self, files: &[(&str, &[u8])]) -> Result<()> {
        use std::os::unix::fs::symlink;
        self.version.set(self.version.get() + 1);
        let data = format!("..2026_01_02_03_04_05.{}", self.version.get());
        std::fs::create_dir(self.folder.join(&data))?;
        for (name, content) in files {
            std::fs::write(self.folder.join(&data).join(name), content)?;
        }
        symlink(&data, self.folder.join("..data_tmp"))?;
        std::fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data"))?;
        for (name, _) in files {
            let link = self.folder.join(name);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(name), link)?;
            }
        }
        // What is no longer in the Secret loses its link after the swap.
        for entry in std::fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name();
            let is_link_to_file = !name.to_string_lossy().starts_with("..");
            if is_link_to_file && !files.iter().any(|(file, _)| name == *file) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
