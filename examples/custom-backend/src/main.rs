//! The controller with one more store: `cabinet`.

use std::process::ExitCode;

use chains_backends::Registry;
use chains_controller::args::Args;
use custom_backend::{CABINET, build};

fn main() -> ExitCode {
    let args = match Args::from_command_line(std::env::args()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let registry = Registry::default().with_store(&CABINET, build);
    match chains_controller::run_with(args, registry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
