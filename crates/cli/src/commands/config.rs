//! `chains config`: checks and shows configurations.

use std::path::Path;

use chains_config::{Config, Origin, Setting};
use serde::Serialize;

use crate::args::{ConfigCommand, Output};
use crate::output::Exit;
use crate::{input, output, settings};

pub(crate) fn run(command: &ConfigCommand, format: Output) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Validate { file } => validate(file, format),
        ConfigCommand::Show { config, changed } => {
            let config = settings::configuration(&config.config, &[])?;
            let rows = config.settings().iter();
            show(rows.filter(|setting| !changed || setting.origin != Origin::Default), format)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    valid: bool,
    faults: Vec<Fault>,
    /// What it asks for and this program was built without; the controller may have it.
    not_built_in: Vec<String>,
}

#[derive(Serialize)]
struct Fault {
    key: Option<String>,
    message: String,
    suggestion: Option<String>,
}

fn validate(file: &Path, format: Output) -> anyhow::Result<Exit> {
    let (faults, not_built_in) = match Config::read(&input::text(file)?) {
        Ok(config) => (Vec::new(), chains_backends::not_built_in(&config)),
        Err(faults) => (faults.iter().cloned().collect(), Vec::new()),
    };
    let valid = faults.is_empty();
    match format {
        Output::Json => {
            let faults = faults
                .into_iter()
                .map(|f| Fault { key: f.key, message: f.message, suggestion: f.suggestion })
                .collect();
            output::json(&Verdict { valid, faults, not_built_in })?;
        }
        Output::Table => {
            for fault in &faults {
                output::line(output::printable(fault.to_string()));
            }
            let summary =
                if valid { "valid".to_owned() } else { output::counted(faults.len(), "fault") };
            output::line(format_args!(
                "{}: {}",
                input::name(file),
                output::verdict(valid, &summary)
            ));
            for missing in &not_built_in {
                output::line(format_args!("note: {missing} is not built into this program"));
            }
        }
    }
    // A configuration that is wrong is what exit code 2 means everywhere.
    Ok(if valid { Exit::Done } else { Exit::Unusable })
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    value: Option<&'a str>,
    origin: &'static str,
}

fn show<'a>(rows: impl Iterator<Item = &'a Setting>, format: Output) -> anyhow::Result<Exit> {
    let row = |setting: &'a Setting| Row {
        key: setting.key,
        value: setting.value.as_deref(),
        origin: setting.origin.as_str(),
    };
    let rows = rows.map(row);
    match format {
        Output::Json => output::json(&rows.collect::<Vec<_>>())?,
        Output::Table => output::table(
            ["KEY", "VALUE", "FROM"],
            rows.map(|row| {
                [row.key.to_owned(), row.value.unwrap_or("").to_owned(), row.origin.to_owned()]
            }),
        ),
    }
    Ok(Exit::Done)
}
