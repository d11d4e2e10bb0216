//! A token in an environment variable.

use async_trait::async_trait;
use chains_core::{Result, Secret};

use super::{IdentitySource, Variables, refused};
use crate::IdentityToken;

const NAME: &str = "environment";
const TOKEN: &str = "SIGSTORE_ID_TOKEN";

/// The token in `SIGSTORE_ID_TOKEN`, as other clients of Sigstore take it. There is no other when it has ended.
#[derive(Debug, Clone)]
pub struct Environment {
    token: Option<Secret>,
}

impl Environment {
    /// The token among these variables.
    #[must_use]
    pub fn new(variables: &Variables) -> Self {
        Self { token: variables.get(TOKEN).map(Secret::new) }
    }
}

#[async_trait]
impl IdentitySource for Environment {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn is_present(&self) -> bool {
        self.token.is_some()
    }

    async fn token(&self, _: &str) -> Result<IdentityToken> {
        let token = self.token.as_ref();
        let token = token.ok_or_else(|| refused(NAME, format!("there is no {TOKEN}")))?;
        IdentityToken::parse(token.expose()).map_err(|error| error.context(TOKEN))
    }
}
