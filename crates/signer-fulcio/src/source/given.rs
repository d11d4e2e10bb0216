//! A token that somebody has already.

use async_trait::async_trait;
use chains_core::Result;

use super::IdentitySource;
use crate::IdentityToken;

/// One token, as from a command line. There is no other when it has ended.
#[derive(Debug, Clone)]
pub struct Given {
    token: IdentityToken,
}

impl Given {
    /// This token.
    #[must_use]
    pub const fn new(token: IdentityToken) -> Self {
        Self { token }
    }
}

#[async_trait]
impl IdentitySource for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    async fn is_present(&self) -> bool {
        true
    }

    async fn token(&self, _: &str) -> Result<IdentityToken> {
        Ok(self.token.clone())
    }
}
