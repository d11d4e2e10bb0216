//! Watching the place where the key is: a folder, or a Secret.
//!
//! A folder is looked at every two seconds. Kernels tell of changes too, but watches are often used up on nodes
//! with many pods, and do not work on every file system; a look costs microseconds.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chains_cluster::SecretRef;
use chains_config::X509Key;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::follow::{Sight, follow};
use super::key::{Found, KeyReader, KeyState, NAMES};

/// How often a folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long files must have been at rest: those who write several do not write them at once.
const REST: Duration = Duration::from_millis(200);
/// How often that is waited for.
const MOST_RESTS: usize = 10;
/// What Kubernetes swaps when it changes what is mounted.
const DATA_LINK: &str = "..data";

/// A place that is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    /// Where.
    pub(super) place: X509Key,
    state: watch::Receiver<Option<KeyState>>,
    task: tokio::task::JoinHandle<()>,
}

impl Watched {
    /// Starts to watch.
    pub(super) fn new(client: &Client, place: X509Key) -> Self {
        let (found, state) = watch::channel(None);
        let reader = KeyReader::new(place.to_string());
        let task = match (&place, place.to_string().parse::<SecretRef>()) {
            (X509Key::Folder(folder), _) => {
                tokio::spawn(watch_folder(folder.clone(), reader, found))
            }
            (_, Ok(at)) => tokio::spawn(watch_secret(client.clone(), at, reader, found)),
            // Two crates read the reference, and this one is stricter.
            (_, Err(error)) => tokio::spawn(async move {
                let mut reader = reader;
                found.send_replace(Some(reader.see(Found::Unreadable(error)).await));
                found.closed().await;
            }),
        };
        Self { place, state, task }
    }

    /// Waits for a change.
    pub(super) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            // The task runs as long as it is watched.
            std::future::pending::<()>().await;
        }
    }

    /// What there is now; `None` until it was looked at.
    pub(super) fn state(&mut self) -> Option<KeyState> {
        self.state.borrow_and_update().clone()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Tell = watch::Sender<Option<KeyState>>;

async fn watch_secret(client: Client, at: SecretRef, mut reader: KeyReader, tell: Tell) {
    let api: Api<Secret> = Api::namespaced(client, at.namespace());
    let mut secret = follow(api, at.name(), format!("reading the Secret {at}"));
    loop {
        let found = match secret.next().await {
            Sight::There(secret) => in_secret(&secret, &at),
            Sight::Gone => Found::Nothing(format!("the Secret {at} is not there")),
            Sight::Unknown(error) => Found::Unreadable(error),
        };
        tell.send_replace(Some(reader.see(found).await));
    }
}

fn in_secret(secret: &Secret, at: &SecretRef) -> Found {
    Found::collect(&at.to_string(), |name| {
        let entry = secret.data.as_ref().and_then(|data| data.get(name));
        Ok(entry.map(|bytes| bytes.0.clone()))
    })
}

async fn watch_folder(folder: PathBuf, mut reader: KeyReader, tell: Tell) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        looks.tick().await;
        let mut mark = Mark::of(&folder);
        if seen.as_ref() == Some(&mark) {
            continue;
        }
        if seen.is_some() {
            mark = at_rest(&folder, mark).await;
        }
        // The mark is older than what is read: a change in between is seen at the next look.
        let path = folder.clone();
        let Ok(found) = tokio::task::spawn_blocking(move || Found::in_folder(&path)).await else {
            continue;
        };
        seen = Some(mark);
        tell.send_replace(Some(reader.see(found).await));
    }
}

async fn at_rest(folder: &Path, mut mark: Mark) -> Mark {
    for _ in 0..MOST_RESTS {
        tokio::time::sleep(REST).await;
        let now = Mark::of(folder);
        if now == mark {
            break;
        }
        mark = now;
    }
    mark
}

/// What differs when a file of the key, or what it leads to, was changed.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    link: Option<OsString>,
    files: [Result<Stamp, io::ErrorKind>; NAMES.len()],
}

/// Of one file: device, inode, length, and the times of its last changes.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([u64; 3], [i64; 4], u32);

impl Mark {
    /// Asks for five entries of folders, which takes microseconds: not worth a thread.
    fn of(folder: &Path) -> Self {
        let stamp = |name: &str| {
            let file = std::fs::metadata(folder.join(name)).map_err(|error| error.kind())?;
            let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
            Ok(Stamp([file.dev(), file.ino(), file.len()], times, file.mode()))
        };
        let link = std::fs::read_link(folder.join(DATA_LINK)).ok().map(PathBuf::into_os_string);
        Self { link, files: NAMES.map(stamp) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use chains_signer_x509::X509_KEY;

    use super::super::key::tests::pem;
    use super::*;

    /// Lays a folder out as the kubelet does: files behind a link that is swapped.
    fn mount(folder: &Path, version: &str, entries: &[(&str, &str)]) {
        let data = folder.join(format!("..{version}"));
        fs::create_dir(&data).expect("a folder");
        for (name, text) in entries {
            fs::write(data.join(name), text).expect("written");
            let link = folder.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new(DATA_LINK).join(name), link).expect("a link");
            }
        }
        let next = folder.join("..data_tmp");
        symlink(data.file_name().expect("a name"), &next).expect("a link");
        fs::rename(next, folder.join(DATA_LINK)).expect("swapped");
    }

    fn client() -> Client {
        let config = kube::Config::new("http://127.0.0.1:1".parse().expect("an address"));
        Client::try_from(config).expect("a client")
    }

    #[tokio::test]
    async fn marks_differ_where_files_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let mut marks = vec![Mark::of(path)];
        let mut changed = |what: &str| {
            assert_eq!(Mark::of(path), Mark::of(path), "{what}");
            marks.push(Mark::of(path));
            let (last, before) = marks.split_last().expect("two");
            assert!(!before.contains(last), "{what}");
        };
        mount(path, "1", &[(X509_KEY, "a")]);
        changed("mounted");
        mount(path, "2", &[(X509_KEY, "a")]);
        changed("swapped");
        fs::write(path.join("cosign.key"), "a").expect("written");
        changed("written");
        fs::write(path.join("cosign.key"), "b").expect("written");
        changed("written over");
        fs::remove_file(path.join(DATA_LINK)).expect("removed");
        changed("removed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mounted_key_that_is_swapped_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let ((first, first_public), (second, second_public)) = (pem(), pem());
        mount(folder.path(), "1", &[(X509_KEY, &first)]);
        let place = X509Key::Folder(folder.path().to_owned());
        let mut watched = Watched::new(&client(), place);
        assert!(watched.state().is_none());
        for (number, public) in [("2", first_public), ("3", second_public)] {
            watched.changed().await;
            let state = watched.state().expect("it was looked at");
            assert_eq!(state.signer.expect("a key").public_key(), &public);
            mount(folder.path(), number, &[(X509_KEY, &second)]);
        }
    }
}
