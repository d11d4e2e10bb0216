//! Stores that a program brings along.

use chains_config::ExtraStore;

use crate::BuildStore;

/// Stores that a program brings along, besides those in [`STORES`](crate::STORES): none at first.
///
/// `docs/writing-a-backend.md` writes one and registers it.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    stores: Vec<(&'static ExtraStore, BuildStore)>,
}

impl Registry {
    /// Adds a store: what the configuration may say of it, and what makes it of that.
    ///
    /// It is made anew whenever the configuration or a key has changed.
    #[must_use]
    pub fn with_store(mut self, section: &'static ExtraStore, build: BuildStore) -> Self {
        self.stores.push((section, build));
        self
    }

    /// What the configuration may say of them: for [`Layers::extra_stores`](chains_config::Layers::extra_stores).
    pub fn sections(&self) -> impl Iterator<Item = &'static ExtraStore> {
        self.stores.iter().map(|(section, _)| *section)
    }

    pub(crate) fn store(&self, name: &str) -> Option<BuildStore> {
        self.stores.iter().find(|(section, _)| section.name == name).map(|(_, build)| *build)
    }
}
