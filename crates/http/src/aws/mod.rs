//! Services of AWS that speak its JSON protocol.
//!
//! Credentials are found by AWS's own library, `aws-config`, over our own HTTP client, and requests are signed by AWS's
//! `aws-sigv4`. The generated client of a whole service would take longer to compile than everything else around it.
//!
//! | room | what |
//! |---|---|
//! | `service` | what is asked, and where it is said to be |
//! | `api` | one call |
//! | `fault` | what its failures mean |
//! | `endpoint` | which address a region has |
//! | `wallet` | credentials: found once, kept until shortly before they expire |
//! | `connector` | our HTTP client in the form that AWS's library wants |
//!
//! ```
//! use std::time::Duration;
//!
//! use chains_http::aws::{Api, Connector, Place, Service, authorities};
//! use chains_http::{Exchange, Settings, Tls, Variables};
//!
//! static QUEUES: Service = Service {
//!     title: "Amazon SQS",
//!     name: "sqs",
//!     id: "SQS",
//!     target: "AmazonSQS",
//!     media_type: "application/x-amz-json-1.0",
//!     fips_by_itself: false,
//!     exchange: Exchange::up_to(1024 * 1024),
//! };
//!
//! let settings = Settings {
//!     ca_files: &[],
//!     connect_timeout: Duration::from_secs(5),
//!     request_timeout: Duration::from_secs(20),
//!     most_idle: 32,
//! };
//! let variables = Variables::of_process();
//! let tls = Tls { only: authorities(&variables)?, ..Tls::default() };
//! let connector = Connector::new("setting up TLS for Amazon SQS", &settings, tls)?;
//! let place = Place { about: "the queue signed".to_owned(), ..Place::default() };
//! let api = Api::new(&QUEUES, place, variables, connector);
//! # Ok::<(), chains_core::Error>(())
//! ```

mod api;
mod connector;
mod endpoint;
mod fault;
mod service;
mod wallet;

pub use api::{Api, Refused, Replied};
pub use connector::{Connector, authorities};
pub use fault::kind;
pub use service::{Place, Service};
