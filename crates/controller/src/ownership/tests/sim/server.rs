//! The API server of the simulated world: Leases with versions, a watch, and a network that loses and delays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::{broadcast, oneshot};
use tokio::time::sleep;

use super::super::super::store::{Change, Leases, Listing};
use super::super::super::task::Chance;

/// Leases, and how many requests there were.
#[derive(Debug)]
pub(in super::super) struct Server {
    state: Mutex<State>,
    changes: broadcast::Sender<(bool, Lease)>,
}

#[derive(Debug, Default)]
struct State {
    leases: BTreeMap<String, Lease>,
    version: u64,
    requests: BTreeMap<&'static str, u64>,
}

impl Default for Server {
    fn default() -> Self {
        Self { state: Mutex::default(), changes: broadcast::channel(4096).0 }
    }
}

enum Request {
    List,
    Create(Lease),
    Replace(Lease),
    Delete(Lease),
}

enum Answer {
    List(Listing),
    Lease(Box<Lease>),
}

impl Server {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many requests of each verb there were; starts from zero again.
    pub(in super::super) fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.with(|state| std::mem::take(&mut state.requests))
    }

    /// As somebody with `kubectl` does: changes a Lease that is there.
    pub(in super::super) fn edit(&self, name: &str, change: impl FnOnce(&mut Lease)) {
        let edited = self.with(|state| {
            let mut lease = state.leases.get(name)?.clone();
            change(&mut lease);
            Some(lease)
        });
        if let Some(lease) = edited {
            self.answer(Request::Replace(lease)).map(drop).unwrap();
        }
    }

    /// As somebody with `kubectl` does: deletes Leases whose name contains this.
    pub(in super::super) fn delete(&self, part: &str) {
        for lease in self.leases().into_iter().filter(|lease| name_of(lease).contains(part)) {
            self.answer(Request::Delete(lease)).map(drop).unwrap();
        }
    }

    pub(in super::super) fn leases(&self) -> Vec<Lease> {
        self.with(|state| state.leases.values().cloned().collect())
    }

    /// Everything, for the message of a failed test.
    pub(in super::super) fn dump(&self) -> String {
        let mut text = String::new();
        for lease in self.leases() {
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
            writeln!(text, "{}: {holder:?}", name_of(&lease)).unwrap();
        }
        text
    }

    fn answer(&self, request: Request) -> Result<Answer> {
        let conflict = |why: &str| Err(Error::new(ErrorKind::Conflict, why));
        let (answer, change) = self.with(|state| {
            let verb = match &request {
                Request::List => "list",
                Request::Create(_) => "create",
                Request::Replace(_) => "update",
                Request::Delete(_) => "delete",
            };
            *state.requests.entry(verb).or_default() += 1;
            if let Request::List = request {
                let leases = state.leases.values().cloned().collect();
                let listing = Listing { leases, version: state.version.to_string() };
                return (Ok(Answer::List(listing)), None);
            }
            let (Request::Create(lease) | Request::Replace(lease) | Request::Delete(lease)) =
                &request
            else {
                return (conflict("not reached"), None);
            };
            let (name, mut lease) = (name_of(lease), lease.clone());
            let stored = state.leases.get(&name).map(|lease| &lease.metadata);
            let same = stored.is_some_and(|stored| {
                stored.uid == lease.metadata.uid
                    && stored.resource_version == lease.metadata.resource_version
            });
            state.version += 1;
            let version = Some(state.version.to_string());
            match (&request, stored.is_some()) {
                (Request::Create(_), true) => return (conflict("already there"), None),
                (Request::Create(_), false) => lease.metadata.uid.clone_from(&version),
                (Request::Delete(_), false) => {
                    return (Err(Error::new(ErrorKind::NotFound, name)), None);
                }
                (_, false) => return (conflict("not there"), None),
                (_, true) if !same => return (conflict("changed"), None),
                (_, true) => {}
            }
            lease.metadata.resource_version = version;
            let gone = matches!(request, Request::Delete(_));
            if gone {
                state.leases.remove(&name);
            } else {
                state.leases.insert(name, lease.clone());
            }
            (Ok(Answer::Lease(Box::new(lease.clone()))), Some((gone, lease)))
        });
        if let Some(change) = change {
            let _ = self.changes.send(change);
        }
        answer
    }
}

fn name_of(lease: &Lease) -> String {
    lease.metadata.name.clone().unwrap_or_default()
}

/// How the network of a replica behaves.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Weather {
    /// The longest that half a round trip takes.
    pub(in super::super) latency: Duration,
    /// Of a thousand requests, so many are lost on their way, and as many answers.
    pub(in super::super) lost: u64,
    /// Nothing arrives.
    pub(in super::super) cut: bool,
    /// Whether the watch tells of changes.
    pub(in super::super) watch: bool,
}

impl Weather {
    pub(in super::super) const FAIR: Self =
        Self { latency: Duration::from_millis(4), lost: 0, cut: false, watch: true };
}

/// A replica's way to the server.
#[derive(Debug)]
pub(in super::super) struct Network {
    server: Arc<Server>,
    weather: Arc<Mutex<Weather>>,
    chance: Mutex<Chance>,
}

impl Network {
    pub(in super::super) fn new(
        server: &Arc<Server>,
        weather: &Arc<Mutex<Weather>>,
        seed: u64,
    ) -> Self {
        let (server, weather) = (Arc::clone(server), Arc::clone(weather));
        Self { server, weather, chance: Mutex::new(Chance::from_seed(seed)) }
    }

    fn draw(&self, below: u64) -> u64 {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance.next() % below.max(1)
    }

    /// What was sent arrives, whether or not the sender still waits for it.
    async fn send(&self, request: Request) -> Result<Answer> {
        let weather = *self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = u64::try_from(weather.latency.as_micros()).unwrap_or(u64::MAX);
        let (there, back) = (self.draw(longest), self.draw(longest));
        let lost = self.draw(1000) < weather.lost || weather.cut;
        let unanswered = self.draw(1000) < weather.lost;
        let refused = self.draw(2) == 0;
        if lost {
            // The one fails at once, the other when somebody loses patience.
            if !refused {
                std::future::pending::<()>().await;
            }
            return Err(Error::new(ErrorKind::Unavailable, "connection refused"));
        }
        let (tell, told) = oneshot::channel();
        let (server, weather) = (Arc::clone(&self.server), Arc::clone(&self.weather));
        tokio::spawn(async move {
            sleep(Duration::from_micros(there)).await;
            let answer = server.answer(request);
            sleep(Duration::from_micros(back)).await;
            let cut = weather.lock().unwrap_or_else(PoisonError::into_inner).cut;
            if unanswered || cut {
                std::future::pending::<()>().await;
            }
            let _ = tell.send(answer);
        });
        told.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "connection reset")))
    }

    async fn write(&self, request: Request) -> Result<Lease> {
        match self.send(request).await? {
            Answer::Lease(lease) => Ok(*lease),
            Answer::List(_) => Err(Error::new(ErrorKind::Protocol, "a list")),
        }
    }
}

#[async_trait]
impl Leases for Network {
    async fn list(&self) -> Result<Listing> {
        match self.send(Request::List).await? {
            Answer::List(listing) => Ok(listing),
            Answer::Lease(_) => Err(Error::new(ErrorKind::Protocol, "a lease")),
        }
    }

    async fn create(&self, lease: &Lease) -> Result<Lease> {
        self.write(Request::Create(lease.clone())).await
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease> {
        self.write(Request::Replace(lease.clone())).await
    }

    async fn delete(&self, lease: &Lease) -> Result<()> {
        self.write(Request::Delete(lease.clone())).await.map(drop)
    }

    fn watch(&self, _: String) -> BoxStream<'static, Result<Change>> {
        let (changes, weather) = (self.server.changes.subscribe(), Arc::clone(&self.weather));
        let told = stream::unfold((changes, weather), |(mut changes, weather)| async move {
            loop {
                let (gone, lease) = changes.recv().await.ok()?;
                let now = *weather.lock().unwrap_or_else(PoisonError::into_inner);
                sleep(now.latency / 2).await;
                if !now.watch {
                    let refused = Error::new(ErrorKind::Unauthorized, "watch is forbidden");
                    return Some((Err(refused), (changes, weather)));
                }
                if !now.cut {
                    let change = if gone { Change::Gone(lease) } else { Change::There(lease) };
                    return Some((Ok(change), (changes, weather)));
                }
            }
        });
        told.boxed()
    }
}
