//! The `chains-controller` program.
use chains_controller::args::Args;
use std::process::ExitCode;
fn main() -> ExitCode {
    let args = match Args::from_command_line(std::env::args()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match chains_controller::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
