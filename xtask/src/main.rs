//! Every repeated task of the workspace: `cargo xtask` lists them, one file a command.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "commands of the developer's terminal"
)]

mod bench;
mod docs;
mod e2e;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// A command: its name, what it does, its help, and how to run it from the root of the workspace.
type Command = (&'static str, &'static str, &'static str, fn(&[String]) -> Result<ExitCode>);

/// Every command, one line each.
const COMMANDS: &[Command] = &[
    (
        "tidy",
        "checks what compilers and linters do not: edges, lengths, headers, docs",
        tidy::HELP,
        tidy::run,
    ),
    ("docs", "writes the pages of docs/ that are made from code", docs::HELP, docs::run),
    ("bench", "measures, and prints one table with the goals beside", bench::HELP, bench::run),
    ("e2e", "runs the end-to-end cases against real peers", e2e::HELP, e2e::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    dispatch(&args).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((name, rest)) = args.split_first() else {
        list();
        return Ok(ExitCode::SUCCESS);
    };
    if is_help(name) {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let Some((.., help, run)) = COMMANDS.iter().find(|(known, ..)| known == name) else {
        bail!("there is no command {name:?}: `cargo xtask` lists them all");
    };
    if rest.iter().any(|arg| is_help(arg)) {
        print!("{help}");
        return Ok(ExitCode::SUCCESS);
    }
    workspace::enter_root()?;
    run(rest)
}

fn is_help(arg: &str) -> bool {
    matches!(arg, "help" | "--help" | "-h")
}

fn list() {
    println!("cargo xtask COMMAND [--help]\n");
    for (name, about, ..) in COMMANDS {
        println!("  {name:<8} {about}");
    }
}
