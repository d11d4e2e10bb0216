//! Services of Google Cloud: tokens for them, and what their failures mean.
//!
//! Google's own library, `google-cloud-auth`, finds the credentials, and keeps and renews the token.
//!
//! ```
//! use std::time::Duration;
//!
//! use chains_http::Variables;
//! use chains_http::google::{Tokens, Want};
//!
//! let want = Want {
//!     scope: "https://www.googleapis.com/auth/cloud-platform",
//!     advice: "name a file of credentials in GOOGLE_APPLICATION_CREDENTIALS",
//!     limit: Duration::from_secs(20),
//!     may_be_final: false,
//! };
//! let tokens = Tokens::new(&Variables::of_process(), want);
//! ```

mod fault;
mod tokens;

pub use fault::{kind, refusal};
pub use tokens::{Shown, Tokens, Want};
