//! Where identity tokens come from.

mod buildkite;
mod environment;
mod filesystem;
mod first;
mod github;
mod given;
mod google;
#[cfg(feature = "spiffe")]
mod spiffe;
mod variables;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};

use crate::connection::Http;
use crate::{Connection, IdentityToken, Proxy};

pub use buildkite::Buildkite;
pub use environment::Environment;
pub use filesystem::Filesystem;
pub use first::FirstPresent;
pub use github::GitHub;
pub use given::Given;
pub use google::Google;
#[cfg(feature = "spiffe")]
pub use spiffe::Spiffe;
pub use variables::Variables;

/// Gives identity tokens.
#[async_trait]
pub trait IdentitySource: Debug + Send + Sync + 'static {
    /// The name in the configuration, e.g. `filesystem`.
    fn name(&self) -> &'static str;

    /// Whether what it needs is there, as far as that can be told without asking anybody.
    async fn is_present(&self) -> bool;

    /// A token for the audience, fresh enough to be used at once.
    ///
    /// # Errors
    /// Says what is missing or who refuses; never holds a token.
    async fn token(&self, audience: &str) -> Result<IdentityToken>;
}

/// The sources by their names in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// [`Buildkite`].
    Buildkite,
    /// [`Environment`].
    Environment,
    /// [`Filesystem`].
    Filesystem,
    /// [`GitHub`].
    GitHub,
    /// [`Google`].
    Google,
    /// `Spiffe`.
    Spiffe,
}

impl Provider {
    /// All, in the order in which they are tried where none is named.
    pub const ALL: [Self; 6] = [
        Self::Buildkite,
        Self::Environment,
        Self::Filesystem,
        Self::GitHub,
        Self::Google,
        Self::Spiffe,
    ];

    /// The name in `signers.x509.fulcio.provider`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buildkite => "buildkite",
            Self::Environment => "environment",
            Self::Filesystem => "filesystem",
            Self::GitHub => "github",
            Self::Google => "google",
            Self::Spiffe => "spiffe",
        }
    }
}

/// Which source, and what it needs.
#[derive(Debug, Clone, Default)]
pub struct SourceOptions {
    /// `signers.x509.fulcio.provider`; unset: [`FirstPresent`] of all.
    pub provider: Option<Provider>,
    /// `signers.x509.identity.token.file`: where [`Filesystem`] looks; where no provider is named, it is the only
    /// source.
    pub token_file: Option<PathBuf>,
    /// How servers that give tokens are reached.
    pub connection: Connection,
}

/// The source that the options ask for.
///
/// # Errors
/// [`ErrorKind::Configuration`] where it is not compiled in.
pub fn identity_source(
    options: &SourceOptions,
    variables: &Variables,
) -> Result<Arc<dyn IdentitySource>> {
    let build = Build { options, variables };
    match (options.provider, &options.token_file) {
        (None, Some(_)) => build.source(Provider::Filesystem),
        (Some(provider), _) => build.source(provider),
        (None, None) => {
            // One that is not compiled in is not present.
            let all = Provider::ALL.into_iter().filter_map(|one| build.source(one).ok());
            Ok(Arc::new(FirstPresent::new(all.collect())))
        }
    }
}

struct Build<'a> {
    options: &'a SourceOptions,
    variables: &'a Variables,
}

impl Build<'_> {
    fn source(&self, provider: Provider) -> Result<Arc<dyn IdentitySource>> {
        let connection = &self.options.connection;
        Ok(match provider {
            Provider::Buildkite => Arc::new(Buildkite::new(self.variables, connection)),
            Provider::Environment => Arc::new(Environment::new(self.variables)),
            Provider::Filesystem => Arc::new(match &self.options.token_file {
                Some(path) => Filesystem::new(path),
                None => Filesystem::default(),
            }),
            Provider::GitHub => Arc::new(GitHub::new(self.variables, connection)),
            Provider::Google => Arc::new(Google::new(self.variables, connection)),
            #[cfg(feature = "spiffe")]
            Provider::Spiffe => Arc::new(Spiffe::new(self.variables)),
            #[cfg(not(feature = "spiffe"))]
            Provider::Spiffe => {
                let what =
                    "`signers.x509.fulcio.provider`: `spiffe` is not built into this program";
                return Err(Error::new(ErrorKind::Configuration, what));
            }
        })
    }
}

/// A failure to get a token: who was asked, and why it failed.
fn refused(name: &str, why: impl Into<String>) -> Error {
    let what = format!("getting an identity token from the source `{name}`");
    Error::new(ErrorKind::Unauthorized, what).with_source(why.into())
}

/// The client for a connection, and one without proxies for servers of the machine's own cloud.
fn clients(connection: &Connection) -> (Http, Http) {
    let direct = Connection { proxy: Proxy::Direct, ..connection.clone() };
    (Http::new(connection.clone()), Http::new(direct))
}

/// A field of a JSON answer that holds a token; errors do not tell what the answer says, for it may be one.
fn token_field(name: &str, body: &[u8], field: &str) -> Result<chains_core::Secret> {
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| refused(name, "the answer is not JSON"))?;
    match value.get(field).and_then(serde_json::Value::as_str) {
        Some(text) if !text.is_empty() => Ok(chains_core::Secret::new(text)),
        _ => Err(refused(name, format!("the answer has no `{field}`"))),
    }
}
