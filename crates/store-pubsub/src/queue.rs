//! What a queue must be able to do: all that this crate asks of a library.

use std::fmt::Debug;

use async_trait::async_trait;
use chains_core::Result;

use crate::message::Message;

/// Takes messages.
#[async_trait]
pub(crate) trait Queue: Debug + Send + Sync + 'static {
    /// Sends a message, and waits until it is kept; says where. Ends by itself, with an error if need be.
    async fn send(&self, message: Message) -> Result<String>;
}
