//! HTTP towards services, as stores, signers and logs have it in common: what is asked of each and what its answers mean is
//! theirs, what holds everywhere is here.
//!
//! | to do | look at |
//! |---|---|
//! | make a client with its bounds and authorities | [`Settings`], [`Tls`], [`build`] |
//! | send a request, bounded in time and length | [`Exchange`]; with turns, [`Client`] |
//! | say what an answer means as an error | [`Answer::fault`], [`Refusal`], [`kind`] |
//! | read the address of a server, its user and password apart | [`Address`] |
//! | tell who is beside us | [`is_loopback`], [`is_beside_us`] |
//! | read variables of the environment | [`Variables`] |
//! | keep a token until it expires | [`Kept`] |
//! | call a service of AWS | `aws` (feature `aws`) |
//! | have a token of Google Cloud | `google` (feature `google`) |
//!
//! ```no_run
//! # async fn example() -> chains_core::Result<()> {
//! use std::time::Duration;
//!
//! use chains_core::{ErrorKind, Secret};
//! use chains_http::{Address, Client, Exchange, Refusal, Settings, kind};
//!
//! let url = Secret::new("https://user:hunter2@shelf.example.com");
//! let address = Address::parse("reading the address of the shelf (`storage.shelf.url`)", &url)?;
//! let settings = Settings {
//!     ca_files: &[],
//!     connect_timeout: Duration::from_secs(5),
//!     request_timeout: Duration::from_secs(20),
//!     most_idle: 32,
//! };
//! let client = Client::new(&settings, 32, Exchange::up_to(1024 * 1024))?;
//! let request = address.authenticated(client.get(address.of(&["books", "1"])));
//! let what = format!("fetching a book from {address}");
//! let answer = client.send(&what, request).await?;
//! if !answer.status.is_success() {
//!     let kind = kind(answer.status).unwrap_or(ErrorKind::Protocol);
//!     return Err(answer.fault(&what, kind, &Refusal::default(), "is it a shelf?", &address.secrets()));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - No redirect is followed: it would carry credentials to whoever is named there.
//! - No answer is read without end, and none is waited for without end.
//! - Errors hold no address and no secret, and nothing that others wrote in more than one line of [`MAX_TOLD`] characters.

mod address;
mod answer;
#[cfg(feature = "aws")]
pub mod aws;
mod client;
mod exchange;
#[cfg(feature = "google")]
pub mod google;
mod kept;
mod near;
mod throttle;
mod variables;

pub use address::{Address, Login};
pub use answer::{Answer, MAX_TOLD, Refusal, kind, line, secret_header};
pub use client::{Client, Settings, Tls, build, certificates, certificates_in};
pub use exchange::Exchange;
pub use kept::{Fresh, Kept};
pub use near::{is_beside_us, is_loopback};
pub use variables::Variables;
