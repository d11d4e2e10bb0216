//! Several sources: the first one that gives a token.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use chains_core::Result;

use super::{IdentitySource, refused};
use crate::IdentityToken;

/// Each source that is present, in order, until one gives a token for the audience that has not ended.
#[derive(Debug)]
pub struct FirstPresent {
    sources: Vec<Arc<dyn IdentitySource>>,
}

impl FirstPresent {
    /// These sources, in this order.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn IdentitySource>>) -> Self {
        Self { sources }
    }
}

#[async_trait]
impl IdentitySource for FirstPresent {
    fn name(&self) -> &'static str {
        "any"
    }

    async fn is_present(&self) -> bool {
        for source in &self.sources {
            if source.is_present().await {
                return true;
            }
        }
        false
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken> {
        let mut reasons = Vec::new();
        for source in &self.sources {
            if !source.is_present().await {
                continue;
            }
            let token = source.token(audience).await;
            let fits = |token: IdentityToken| {
                token.check(audience, None, SystemTime::now()).map(|()| token)
            };
            match token.and_then(fits) {
                Ok(token) => return Ok(token),
                Err(error) => reasons.push(format!("`{}`: {}", source.name(), error.report())),
            }
        }
        if reasons.is_empty() {
            let known: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
            let why = format!("none is present of {}", known.join(", "));
            return Err(refused(self.name(), why));
        }
        Err(refused(self.name(), reasons.join("; ")))
    }
}
