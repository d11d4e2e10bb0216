//! `chains verify`: checks what was signed, and tells what was checked.

mod checks;
mod folder;
mod image;
mod run;

use std::path::Path;

use chains_core::PublicKey;
use serde::Serialize;

use crate::args::{Output, VerifyArgs};
use crate::output::Exit;
use crate::{keys, output};

use checks::Item;

/// What was found out about one argument.
#[derive(Debug, Serialize)]
struct Verdict {
    what: String,
    verified: bool,
    /// Why, where nothing could be looked at or something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    items: Vec<Item>,
}

pub(crate) async fn run(args: VerifyArgs, format: Output) -> anyhow::Result<Exit> {
    let keys = keys::public(&args.key)?;
    let mut verdicts = Vec::with_capacity(args.what.len());
    for what in &args.what {
        verdicts.push(verify(what, &keys, &args).await);
    }
    let all = verdicts.iter().all(|verdict| verdict.verified);
    match format {
        Output::Json => output::json(&verdicts)?,
        Output::Table => verdicts.iter().for_each(print),
    }
    Ok(if all { Exit::Done } else { Exit::Failed })
}

/// A folder or file that exists is what it is; everything else is an image.
async fn verify(what: &str, keys: &[PublicKey], args: &VerifyArgs) -> Verdict {
    let path = Path::new(what);
    let items = if path.is_dir() {
        folder::verify(path, keys).await
    } else if path.is_file() || what == "-" {
        run::verify(path, keys).await
    } else {
        image::verify(what, keys, args).await
    };
    match items {
        Ok(items) => {
            let error = missing(&items);
            let verified = error.is_none();
            Verdict { what: what.to_owned(), verified, error, items }
        }
        Err(error) => Verdict {
            what: what.to_owned(),
            verified: false,
            error: Some(format!("{error:#}")),
            items: Vec::new(),
        },
    }
}

/// Why the items together do not verify: there are none, one that must hold does not, or none of those of
/// which one is enough does.
fn missing(items: &[Item]) -> Option<String> {
    if items.is_empty() {
        return Some("nothing signed was found".to_owned());
    }
    let failed = items.iter().filter(|item| item.required && !item.verified).count();
    if failed > 0 {
        return Some(format!("{failed} of {} did not verify", items.len()));
    }
    for kind in items.iter().map(|item| item.kind) {
        let of_kind = || items.iter().filter(|item| item.kind == kind);
        if !of_kind().any(|item| item.verified) {
            return Some(format!("no {kind} verified, of {} found", of_kind().count()));
        }
    }
    None
}

fn print(verdict: &Verdict) {
    for item in &verdict.items {
        let word =
            output::verdict(item.verified, if item.verified { "verified" } else { "REFUSED" });
        output::line(format_args!("{word}  {}  {}", item.kind, output::printable(&item.location)));
        for check in &item.checks {
            let mark = if check.passed { "ok" } else { "failed" };
            output::line(format_args!("    {mark:<6}  {}", output::printable(&check.detail)));
        }
    }
    let what = output::printable(&verdict.what);
    match &verdict.error {
        None => output::line(format_args!("{what}: {}", output::verdict(true, "verified"))),
        Some(error) => output::line(format_args!(
            "{what}: {}: {}",
            output::verdict(false, "not verified"),
            output::printable(error)
        )),
    }
}
