//! Azure Key Vault and Managed HSM, over their REST API.
//!
//! | room | what |
//! |---|---|
//! | `key` | the provider: public keys and signatures |
//! | `api` | one call of a vault, with the challenge that names who gives tokens for it |
//! | `challenge` | reading that challenge |
//! | `jwk` | keys and signatures as JSON Web Keys have them, turned into DER |
//! | `wallet` | access tokens: fetched once, kept until shortly before they expire |
//! | `identity` | who we are: in the order in which Azure's own libraries look |
//! | `login` | asking Microsoft Entra for a token |
//! | `machine` | asking the machine, or the Azure command |
//! | `certificate` | showing a certificate instead of a password |

mod api;
mod certificate;
mod challenge;
mod identity;
mod jwk;
mod key;
mod login;
mod machine;
mod wallet;

pub(crate) use key::AzureVault;
