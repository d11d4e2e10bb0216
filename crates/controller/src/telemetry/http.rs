//! The one port for probes and scrapes: `/livez`, `/readyz`, `/metrics`, and nothing else.
//!
//! Whoever reaches the port is unknown, so it costs little whatever they send: a connection is for one request and
//! lives a few seconds, bodies are not read, and there is a limit to how many are served at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chains_core::{Error, ErrorKind};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::exposition::Exposition;
use super::health::{Answer, Health};
use super::metrics::Metrics;

/// How long a client may take for its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections are served at once; more wait.
const AT_ONCE: usize = 64;
/// How large a request's head may be, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// After an accept that failed: the system is out of something, and asking at once again would not help.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Answers probes and scrapes until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What it answers from.
#[derive(Debug, Clone)]
struct Sources {
    health: Health,
    metrics: Metrics,
}

impl Server {
    /// Listens, and answers from now on. To be called before anything else is started.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the address cannot be listened on.
    pub(crate) async fn start(
        listen: SocketAddr,
        health: Health,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let refused = |why: std::io::Error| {
            let what = format!(
                "listening on {listen} for probes and metrics (choose another address with --listen)"
            );
            Error::new(ErrorKind::Configuration, what).with_source(why)
        };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let task = tokio::spawn(accept(listener, Sources { health, metrics }));
        Ok(Self { address, task })
    }

    /// Where it listens: tells the port where port 0 was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, sources: Sources) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    // The semaphore is never closed: the loop lasts as long as the task.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((connection, _)) => {
                let sources = sources.clone();
                tokio::spawn(async move {
                    serve(connection, sources).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a probe or scrape could not connect");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(connection: TcpStream, sources: Sources) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = sources.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(connection), service);
    match tokio::time::timeout(TIMEOUT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a probe or scrape broke off"),
        Err(_) => tracing::debug!("a probe or scrape took too long"),
    }
}

impl Sources {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let uri = request.uri();
        let known = matches!(uri.path(), "/livez" | "/readyz" | "/metrics");
        if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n");
            refused
                .headers_mut()
                .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        let accept = accept.unwrap_or_default();
        match uri.path() {
            "/livez" => probe(self.health.live(), TEXT),
            "/readyz" => {
                let asked = |pair: &str| pair.split('=').next() == Some("verbose");
                let verbose = uri.query().is_some_and(|query| query.split('&').any(asked));
                let json = verbose || accept.contains(JSON);
                probe(self.health.ready(json), if json { JSON } else { TEXT })
            }
            "/metrics" => self.scrape(accept),
            _ => {
                let there = "not here: /livez, /readyz, /metrics\n";
                response(StatusCode::NOT_FOUND, TEXT, there)
            }
        }
    }

    fn scrape(&self, accept: &str) -> Response<Full<Bytes>> {
        let format = Exposition::accepted(accept);
        match self.metrics.openmetrics() {
            Ok(open_metrics) => {
                response(StatusCode::OK, format.content_type(), format.write(open_metrics))
            }
            Err(error) => {
                tracing::error!(%error, "the metrics could not be written");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                response(status, TEXT, "the metrics could not be written\n")
            }
        }
    }
}

fn probe(answer: Answer, content_type: &'static str) -> Response<Full<Bytes>> {
    let status = if answer.good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response(status, content_type, answer.body)
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    use hyper::header::HeaderValue;
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn server(health: &Health) -> Server {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Server::start(any, health.clone(), Metrics::new()).await.unwrap()
    }

    /// Sends these bytes and reads until the server closes the connection.
    async fn say(server: &Server, request: &str) -> String {
        let mut connection = TcpStream::connect(server.address()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A server that closes while there is unread input may reset the connection: what came counts.
        let _ = connection.read_to_string(&mut answer).await;
        answer
    }

    async fn get(server: &Server, path: &str, header: &str) -> String {
        say(server, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}\r\n")).await
    }

    /// The answer has this status, this content type and this in its body.
    #[track_caller]
    fn check(answer: &str, status: u16, content_type: &str, body: &str) {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("content-type: {content_type}\r\n")), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        let (_, answered) = answer.split_once("\r\n\r\n").unwrap();
        assert!(answered.contains(body), "{answer}");
    }

    #[tokio::test]
    async fn probes_are_answered() {
        let health = Health::new();
        let server = server(&health).await;
        check(&get(&server, "/livez", "").await, 200, TEXT, "ok\n");
        check(&get(&server, "/readyz", "").await, 503, TEXT, "not ready\n");
        let part = health.part("configuration");
        part.ok("v1");
        check(&get(&server, "/readyz", "").await, 200, TEXT, "ready\n[+] configuration ok: v1\n");
        let json = "\"name\":\"configuration\"";
        check(&get(&server, "/readyz?verbose", "").await, 200, JSON, json);
        check(&get(&server, "/readyz?verbose=1", "").await, 200, JSON, json);
        check(&get(&server, "/readyz", "Accept: application/json\r\n").await, 200, JSON, json);
        part.faulty("no such key");
        check(&get(&server, "/readyz?verbose", "").await, 503, JSON, "no such key");
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_that_is_asked_for() {
        let server = server(&Health::new()).await;
        let old = "text/plain; version=0.0.4; charset=utf-8";
        let counter = "# TYPE watcher_taskrun_marked_signed_total counter\nwatcher_taskrun_marked_signed_total 0\n";
        check(&get(&server, "/metrics", "").await, 200, old, counter);
        let new = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let asked = "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n";
        let counter =
            "# TYPE watcher_taskrun_marked_signed counter\nwatcher_taskrun_marked_signed_total 0\n";
        let answer = get(&server, "/metrics", asked).await;
        check(&answer, 200, new, counter);
        assert!(answer.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn nothing_else_is_there() {
        let server = server(&Health::new()).await;
        for path in ["/", "/healthz", "/livez/x", "/metrics/", "/debug/pprof", "//livez", "/LIVEZ"]
        {
            check(&get(&server, path, "").await, 404, TEXT, "/livez, /readyz, /metrics");
        }
        let post = "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx";
        let answer = say(&server, post).await;
        check(&answer, 405, TEXT, "GET only");
        assert!(answer.contains("allow: GET, HEAD\r\n"));
        let head = say(&server, "HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
        check(&head, 200, TEXT, "");
        assert!(head.ends_with("\r\n\r\n"), "a head has no body");
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_and_the_next_is_served() {
        let server = server(&Health::new()).await;
        for nonsense in ["\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            assert!(!say(&server, nonsense).await.starts_with("HTTP/1.1 200"));
        }
        let long = format!("a: {}\r\n", "x".repeat(2 * HEAD_LIMIT));
        assert!(get(&server, "/livez", &long).await.starts_with("HTTP/1.1 431"));
        check(&get(&server, "/livez", "").await, 200, TEXT, "ok\n");
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_hung_up_on() {
        let server = server(&Health::new()).await;
        let mut silent = TcpStream::connect(server.address()).await.unwrap();
        // From here on the clock jumps to the next timer whenever nothing else is to be done.
        tokio::time::pause();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(2 * TIMEOUT, silent.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "the connection was left open");
    }

    #[tokio::test]
    async fn an_address_in_use_is_told() {
        let health = Health::new();
        let first = server(&health).await;
        let error = Server::start(first.address(), health, Metrics::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let told = error.report();
        assert!(told.starts_with(&format!("listening on {}", first.address())), "{told}");
        assert!(told.contains("--listen") && told.contains("in use"), "{told}");
    }
}
