//! The transit engine of HashiCorp Vault and OpenBao.
//!
//! | room | what |
//! |---|---|
//! | `transit` | the provider: public keys and signatures |
//! | `server` | where the server is and how it is spoken to: `VAULT_*` and `BAO_*` |
//! | `names` | asking the certificate for another name than the server's |
//! | `api` | one call of its HTTP API, and what its failures mean |
//! | `session` | the token that calls are made with: fetched, renewed, replaced when it is refused |
//! | `token` | where tokens come from: a text, a file, a login |
//! | `jwt` | the JWT that a login shows: a file, or SPIRE |

mod api;
mod jwt;
mod names;
mod server;
mod session;
mod token;
mod transit;

pub(crate) use transit::Transit;
