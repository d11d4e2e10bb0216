//! `chains verify`: checks what was signed, and tells what was checked.

mod bundle;
mod checks;
mod compare;
mod folder;
mod image;
mod rebuild;
mod run;
mod what;

use anyhow::bail;
use chains_backends::{Environment, Keyless};
use chains_config::Config;
use serde::Serialize;

use crate::args::{Output, VerifyArgs};
use crate::output::Exit;
use crate::{keys, output, settings};

use checks::{Found, Item, Trust, Weight};
use what::What;

/// What was found out about one argument.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    what: String,
    verified: bool,
    /// Why, where nothing could be looked at or something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What was not there, or not looked at, and is no failure.
    notes: Vec<String>,
    items: Vec<Item>,
}

pub(crate) async fn run(args: VerifyArgs, format: Output) -> anyhow::Result<Exit> {
    let keys = keys::public(&args.key, &args.cluster, &args.registry.ca_file).await?;
    let identity = args.identity.policy()?;
    if keys.is_empty() && identity.is_none() {
        bail!(
            "whose signatures? Give --key, or --certificate-identity and --certificate-oidc-issuer"
        );
    }
    let roots = roots(&args, identity.is_some()).await?;
    let trust = Trust {
        keys: &keys,
        identity: identity.as_ref(),
        roots: roots.as_ref(),
        logged: args.trust.trusted_root.is_some(),
        types: &args.predicate_types,
    };
    let mut verdicts = Vec::with_capacity(args.what.len());
    for what in &args.what {
        verdicts.push(verify(what, trust, &args).await);
    }
    let all = verdicts.iter().all(|verdict| verdict.verified);
    match format {
        Output::Json => output::json(&verdicts)?,
        Output::Table => verdicts.iter().for_each(print),
    }
    Ok(if all { Exit::Done } else { Exit::Failed })
}

/// Whom to trust, where it matters: with keys alone nothing is fetched.
async fn roots(args: &VerifyArgs, keyless: bool) -> anyhow::Result<Option<Keyless>> {
    if !keyless && args.trust.trusted_root.is_none() {
        return Ok(None);
    }
    let root = args.trust.trusted_root.as_ref();
    let pairs = root.map(|path| ("sigstore.trusted-root".to_owned(), path.display().to_string()));
    let config = Config::from_pairs(pairs).map_err(|faults| settings::error_of(&faults))?;
    let environment = Environment {
        ca_files: args.registry.ca_file.clone(),
        cache: settings::cache(),
        ..Environment::anonymous()
    };
    let roots = Keyless::load(&config, &environment).await;
    roots.map(Some).map_err(|error| anyhow::anyhow!(error.report()))
}

async fn verify(argument: &str, trust: Trust<'_>, args: &VerifyArgs) -> Verdict {
    let what = argument.to_owned();
    match find(argument, trust, args).await {
        Ok(Found { items, notes }) => {
            let error = missing(&items);
            Verdict { what, verified: error.is_none(), error, notes, items }
        }
        Err(error) => Verdict {
            what,
            verified: false,
            error: Some(format!("{error:#}")),
            notes: Vec::new(),
            items: Vec::new(),
        },
    }
}

async fn find(argument: &str, trust: Trust<'_>, args: &VerifyArgs) -> anyhow::Result<Found> {
    match What::of(argument)? {
        What::Folder(path) => folder::verify(path, trust).await,
        What::Run(path) => match bundle::read(path)? {
            Some(bundle) => bundle::verify(path, &bundle, trust),
            None => run::verify(path, trust).await,
        },
        What::Image => image::verify(argument, trust, args).await,
    }
}

/// Why the items together do not verify: there are none that count, one that must hold does not, or none of
/// those of which one is enough does.
fn missing(items: &[Item]) -> Option<String> {
    if items.is_empty() {
        return Some("nothing signed was found".to_owned());
    }
    let failed =
        items.iter().filter(|item| item.weight == Weight::Required && !item.verified).count();
    if failed > 0 {
        return Some(format!("{failed} of {} did not verify", items.len()));
    }
    let counting = || items.iter().filter(|item| item.weight != Weight::Aside);
    if counting().next().is_none() {
        return Some("neither an image signature nor provenance was found".to_owned());
    }
    for kind in counting().map(|item| item.kind) {
        let of_kind = || counting().filter(|item| item.kind == kind);
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
    for note in &verdict.notes {
        output::line(format_args!("note      {}", output::printable(note)));
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
