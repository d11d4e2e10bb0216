//! What stands in front of a server: it counts what is asked, can be shut, and can be made to change answers, for
//! what no honest server would say.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;

use crate::http::{self, HttpServer, Request, Response};

/// Changes an answer on its way.
type Change = Box<dyn Fn(&Request, &mut Response) + Send + Sync>;

/// A server's front.
#[derive(Debug)]
pub struct Front {
    server: HttpServer,
    inner: Arc<Inner>,
}

struct Inner {
    behind: Mutex<String>,
    folder: Option<PathBuf>,
    shut: AtomicBool,
    change: Mutex<Option<Change>>,
    seen: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("behind", &self.behind).finish_non_exhaustive()
    }
}

impl Front {
    /// A front with nothing behind it yet. What is asked for below `/api/v2/` and is a file in `folder`, which a
    /// server writes for others to serve, is answered from it.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(folder: Option<PathBuf>) -> Result<Self> {
        let inner = Arc::new(Inner {
            behind: Mutex::default(),
            folder,
            shut: AtomicBool::new(false),
            change: Mutex::default(),
            seen: Mutex::default(),
        });
        let answering = Arc::clone(&inner);
        let server = HttpServer::start(move |request| answering.answer(&request))?;
        Ok(Self { server, inner })
    }

    /// Puts it before the server at this port.
    pub fn put_before(&self, port: u16) {
        let mut behind = self.inner.behind.lock().unwrap_or_else(PoisonError::into_inner);
        *behind = format!("127.0.0.1:{port}");
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    /// Answers with 503 from now on, until it is opened again.
    pub fn shut(&self) {
        self.inner.shut.store(true, Ordering::SeqCst);
    }

    /// Lets everything through again, as it is.
    pub fn open(&self) {
        self.inner.shut.store(false, Ordering::SeqCst);
        *self.inner.change.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Changes every answer from now on.
    pub fn change(&self, change: impl Fn(&Request, &mut Response) + Send + Sync + 'static) {
        let mut place = self.inner.change.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::new(change));
    }

    /// How often each thing was asked for: `METHOD PATH STATUS`.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *counts.entry(line.clone()).or_default() += 1;
        }
        counts
    }

    /// How often something was asked for that begins so.
    #[must_use]
    pub fn count(&self, begins: &str) -> usize {
        self.seen().iter().filter(|(line, _)| line.starts_with(begins)).map(|(_, n)| n).sum()
    }
}

impl Inner {
    fn answer(&self, request: &Request) -> Response {
        let mut response = self.fetch(request);
        if let Some(change) = &*self.change.lock().unwrap_or_else(PoisonError::into_inner) {
            change(request, &mut response);
        }
        let line = format!("{} {} {}", request.method, request.path, response.status);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        response
    }

    fn fetch(&self, request: &Request) -> Response {
        if self.shut.load(Ordering::SeqCst) {
            return Response::new(503, "shut");
        }
        if let Some(content) = self.file(&request.path) {
            return Response::new(200, content);
        }
        // Length and connection are this exchange's own.
        let own = ["host", "content-length", "transfer-encoding", "connection", "accept-encoding"];
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &request.headers {
            if !own.contains(&name.as_str()) {
                headers.push((name, value));
            }
        }
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = http::send(&behind, &request.method, &request.path, &headers, &request.body);
        match sent {
            Ok(mut response) => {
                response.headers.retain(|(name, _)| !own.contains(&name.as_str()));
                response
            }
            Err(error) => Response::new(502, format!("{error:#}")),
        }
    }

    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let name = path.strip_prefix("/api/v2/")?;
        let safe = name == "checkpoint" || (name.starts_with("tile/") && !name.contains(".."));
        std::fs::read(self.folder.as_ref()?.join(name)).ok().filter(|_| safe)
    }
}
