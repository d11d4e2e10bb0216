//! As much of HTTP as a test needs: a client for what no tool would send, and a server for what no
//! honest registry would answer. Plain HTTP on loopback only.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail};

const LIMIT: Duration = Duration::from_secs(20);

/// A request, as the server got it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200 and so on.
    pub status: u16,
    /// Names in lower case where it was received, in any case where it is to be sent.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

impl Response {
    /// A response with a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// Sends a request to `host` (`ADDRESS:PORT`) and reads the response.
///
/// # Errors
/// If nobody answers, or not in HTTP.
pub fn send(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    exchange(host, method, path, headers, body)
        .with_context(|| format!("{method} http://{host}{path}"))
}

fn exchange(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(LIMIT))?;
    // In HTTP 1.0 the response has no chunks and ends with the connection.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n",
        body.len()
    )?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let (first, headers) = read_head(&mut reader)?;
    let Some(status) = first.split(' ').nth(1).and_then(|code| code.parse().ok()) else {
        bail!("not HTTP: {first:?}");
    };
    let mut body = Vec::new();
    // Some keep the connection all the same.
    let length = header(&headers, "content-length").and_then(|length| length.parse().ok());
    reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    Ok(Response { status, headers, body })
}

/// A server of a test's own. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Answers each request by `handler`, on a free port of loopback.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(handler: impl Fn(Request) -> Response + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let handler = Arc::new(handler);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let handler = Arc::clone(&handler);
                // A client that breaks off is the client's affair: the case asserts on what it did.
                thread::spawn(move || answer(stream, &*handler));
            }
        });
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener only looks up when somebody comes.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn answer(stream: TcpStream, handler: &(impl Fn(Request) -> Response + ?Sized)) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (first, headers) = read_head(&mut reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let body = read_body(&mut reader, &headers)?;
    let head = method == "HEAD";
    let response = handler(Request { method, path, headers, body });

    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {} -\r\nConnection: close\r\nContent-Length: {}\r\n",
        response.status,
        response.body.len()
    )?;
    for (name, value) in &response.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    if !head {
        stream.write_all(&response.body)?;
    }
    stream.flush()
}

/// The first line and the headers.
fn read_head(reader: &mut impl BufRead) -> io::Result<(String, Vec<(String, String)>)> {
    let first = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok((first, headers));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn read_body(reader: &mut impl BufRead, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if header(headers, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let size = read_line(reader)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            reader.by_ref().take(size).read_to_end(&mut body)?;
            read_line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = header(headers, "content-length").and_then(|value| value.parse().ok());
    reader.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(body)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives() {
        let server = HttpServer::start(|request| {
            let got = format!("{} {} {:?}", request.method, request.path, request.header("x-a"));
            Response::new(202, [got.as_bytes(), &request.body].concat()).with("X-B", "2")
        })
        .unwrap();
        let body = b"\xffbody".as_slice();
        let answer = send(&server.host(), "PUT", "/p?q", &[("X-A", "1")], body).unwrap();
        assert_eq!((answer.status, answer.header("x-b")), (202, Some("2")));
        assert_eq!(answer.body, [b"PUT /p?q Some(\"1\")".as_slice(), body].concat());
    }

    #[test]
    fn chunks_are_one_body() {
        let chunked = vec![("transfer-encoding".to_owned(), "chunked".to_owned())];
        let mut sent = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nrest".as_slice();
        assert_eq!(read_body(&mut sent, &chunked).unwrap(), b"abcde");
        assert_eq!(sent, b"rest");
    }
}
