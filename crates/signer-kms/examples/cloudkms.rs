//! Starts the tests' stand-in for Cloud KMS, to try things against: `cargo run -p chains-signer-kms --example
//! cloudkms [127.0.0.1:PORT]`. It prints its address; keys are made through its API, and forgotten when it ends.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "an example prints what it does; the tests use more of what it is made from"
)]

#[path = "../tests/kms/support"]
mod support {
    pub(crate) mod cloudkms;
    pub(crate) mod keys;
    pub(crate) mod server;
}

use support::cloudkms::CloudKms;
use support::server::Server;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut kms = CloudKms::default();
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let server = Server::start_at(&address, move |asked| kms.answer(asked)).await;
        println!("{}", server.url());
        std::future::pending::<()>().await;
    });
}
