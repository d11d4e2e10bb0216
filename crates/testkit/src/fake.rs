//! Backends for tests: some keep their contract in memory, some break on purpose.

mod log;
mod signer;
mod store;

pub use log::FakeLog;
pub use signer::FakeSigner;
pub use store::{FailingStore, MemoryStore, SlowStore};
