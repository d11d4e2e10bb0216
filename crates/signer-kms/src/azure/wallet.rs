//! Access tokens: fetched once for many calls.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{Result, Secret};
use chains_http::{Fresh, Kept};
use reqwest::Client;

use super::challenge::Challenge;
use super::identity::Identities;
use crate::KmsOptions;

/// Tokens live for an hour or a day: they are replaced so long before the end.
const MARGIN: Duration = Duration::from_secs(300);

/// A token as it was given.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) token: Secret,
    pub(super) lifetime: Duration,
}

/// The token at hand, with the challenge that it answers.
#[derive(Debug)]
pub(super) struct Wallet {
    identities: Identities,
    kept: Kept<(Challenge, Secret)>,
}

impl Wallet {
    pub(super) fn new(client: Client, options: &KmsOptions) -> Result<Self> {
        Ok(Self { identities: Identities::of(client, options)?, kept: Kept::new() })
    }

    pub(super) async fn token(&self, challenge: &Challenge) -> Result<Arc<(Challenge, Secret)>> {
        if let Some(other) = self.kept.value().filter(|kept| kept.0 != *challenge) {
            self.kept.forget(&other);
        }
        let fetch = |_| async {
            let Granted { token, lifetime } = self.identities.token(challenge).await?;
            let value = (challenge.clone(), token);
            Ok(Fresh { value, lifetime: Some(lifetime), margin: MARGIN })
        };
        self.kept.get(fetch).await
    }

    /// Forgets a token that was refused.
    pub(super) fn forget(&self, refused: &Arc<(Challenge, Secret)>) {
        self.kept.forget(refused);
    }
}
