//! A proxy in front of a server: it counts connections and what is under way, and may let each answer wait.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

/// The proxy. It takes no more connections when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    delay: Duration,
    stopped: AtomicBool,
    connections: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Proxy {
    /// Starts one in front of `server` (`ADDRESS:PORT`); each answer waits for `delay`.
    ///
    /// It is for HTTP/1.1 without pipelining: what comes from the client is one request until the server answers.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(server: String, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { delay, ..State::default() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.stopped.load(SeqCst) {
                    return;
                }
                shared.connections.fetch_add(1, SeqCst);
                // Whoever breaks off ends the connection, and the other side is told by its end.
                let _ = connect(client, &server, &shared);
            }
        });
        Ok(Self { address, state })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// How many connections were opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// How many requests, at most, were under way at the same moment.
    #[must_use]
    pub fn most_under_way(&self) -> usize {
        self.state.most_under_way.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, SeqCst);
        // The listener only looks up when somebody comes.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(client: TcpStream, server: &str, state: &Arc<State>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let asked = Arc::new(AtomicBool::new(false));
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let (requests, state) = ((Arc::clone(state), Arc::clone(&asked)), Arc::clone(state));
    thread::spawn(move || {
        let (state, asked) = requests;
        let _ = pump(from, to, || {
            if !asked.swap(true, SeqCst) {
                let now = state.under_way.fetch_add(1, SeqCst) + 1;
                state.most_under_way.fetch_max(now, SeqCst);
            }
        });
    });
    thread::spawn(move || {
        let _ = pump(server, client, || {
            if asked.swap(false, SeqCst) {
                thread::sleep(state.delay);
                state.under_way.fetch_sub(1, SeqCst);
            }
        });
    });
    Ok(())
}

/// Passes on what comes, after `before`, until either side ends.
fn pump(mut from: TcpStream, mut to: TcpStream, before: impl Fn()) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        before();
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}
