//! What the tests over recorded cases share: where the cases are, what a configuration means, how answers are
//! compared.

pub mod compare;
mod configuration;
pub mod golden;
pub mod vectors;

pub use configuration::choose;
