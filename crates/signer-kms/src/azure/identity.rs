//! Who we are, found in the order in which Azure's own libraries look (`DefaultAzureCredential`):
//!
//! | name | what |
//! |---|---|
//! | `EnvironmentCredential` | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH` |
//! | `WorkloadIdentityCredential` | `AZURE_FEDERATED_TOKEN_FILE`, as Kubernetes mounts it, with tenant and client id |
//! | `ManagedIdentityCredential` | what the machine, or the app service, gives to whoever runs on it |
//! | `AzureCLICredential` | who is logged in with the `az` command |
//!
//! `AZURE_TOKEN_CREDENTIALS` narrows that to one of them, to `prod` (all but the last) or to `dev` (the last).

use std::path::PathBuf;
use std::sync::OnceLock;

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Tls, Variables, is_loopback};
use reqwest::{Client, Url};

use super::certificate::Certificate;
use super::challenge::Challenge;
use super::login::{Entra, Proof};
use super::machine;
use super::wallet::Granted;
use crate::KmsOptions;
use crate::http;

/// One way to get a token.
#[derive(Debug)]
enum Source {
    Entra(Entra),
    AppService(machine::AppService),
    Machine(machine::Machine),
    Command,
}

/// All ways that there are.
#[derive(Debug)]
pub(super) struct Identities {
    client: Client,
    /// Towards the machine: no proxy is between us and it.
    direct: Client,
    sources: Vec<(&'static str, Source)>,
    /// The one that worked.
    chosen: OnceLock<usize>,
}

const ENVIRONMENT: &str = "EnvironmentCredential";
const WORKLOAD: &str = "WorkloadIdentityCredential";
const MANAGED: &str = "ManagedIdentityCredential";
const COMMAND: &str = "AzureCLICredential";
const ALL: [&str; 4] = [ENVIRONMENT, WORKLOAD, MANAGED, COMMAND];

impl Identities {
    pub(super) fn of(client: Client, options: &KmsOptions) -> Result<Self> {
        let variables = &options.variables;
        let direct = http::client(options, Tls::default())?.no_proxy();
        let direct = chains_http::build("setting up TLS for Azure", direct)?;
        let wanted = wanted(variables)?;
        let mut sources = Vec::new();
        for name in wanted {
            let source = match name {
                ENVIRONMENT => environment(variables)?.map(Source::Entra),
                WORKLOAD => workload(variables)?.map(Source::Entra),
                MANAGED => Some(managed(variables)?),
                _ => Some(Source::Command),
            };
            sources.extend(source.map(|source| (name, source)));
        }
        Ok(Self { client, direct, sources, chosen: OnceLock::new() })
    }

    /// A token of the first that is there; from then on of that one.
    ///
    /// # Errors
    /// Of the first that is there and refused; where none is, what was looked for.
    pub(super) async fn token(&self, challenge: &Challenge) -> Result<Granted> {
        if let Some((name, source)) = self.chosen.get().and_then(|index| self.sources.get(*index)) {
            return self.ask(name, source, challenge, false).await;
        }
        let mut missing = Vec::new();
        for (index, (name, source)) in self.sources.iter().enumerate() {
            match self.ask(name, source, challenge, true).await {
                Ok(granted) => {
                    tracing::debug!(name, "found who we are at Azure");
                    // Another caller may have been first; it found the same.
                    let _ = self.chosen.set(index);
                    return Ok(granted);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => missing.push(error.report()),
                Err(error) => return Err(error),
            }
        }
        let why = format!(
            "nobody is configured with AZURE_CLIENT_ID and its like, and nothing else gives a token: {}",
            missing.join("; ")
        );
        Err(Error::new(ErrorKind::Configuration, "looking for credentials of Azure")
            .with_source(why))
    }

    async fn ask(
        &self,
        name: &str,
        source: &Source,
        challenge: &Challenge,
        is_first: bool,
    ) -> Result<Granted> {
        let what = format!("asking for a token for {} ({name})", challenge.resource);
        match source {
            Source::Entra(entra) => entra.token(&what, &self.client, challenge).await,
            Source::AppService(service) => {
                service.token(&what, &self.direct, &challenge.resource).await
            }
            Source::Machine(machine) => {
                if is_first {
                    machine.probe(&what, &self.direct).await?;
                }
                let granted = machine.token(&what, &self.direct, &challenge.resource).await;
                // Other clouds have something at this address too, and machines without an identity.
                granted.map_err(|e| if is_first { machine::unavailable(&what, &e) } else { e })
            }
            Source::Command => machine::command(&what, challenge).await,
        }
    }
}

fn configuration(what: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, what).with_source(why.into())
}

fn wanted(variables: &Variables) -> Result<Vec<&'static str>> {
    let Some(text) = variables.get("AZURE_TOKEN_CREDENTIALS") else {
        return Ok(ALL.to_vec());
    };
    match text.to_ascii_lowercase().as_str() {
        "prod" => Ok(vec![ENVIRONMENT, WORKLOAD, MANAGED]),
        "dev" => Ok(vec![COMMAND]),
        one => {
            let found = ALL.into_iter().find(|name| name.eq_ignore_ascii_case(one));
            found.map(|name| vec![name]).ok_or_else(|| {
                let why = format!("{text:?} is none of prod, dev, {}", ALL.join(", "));
                configuration("reading AZURE_TOKEN_CREDENTIALS", why)
            })
        }
    }
}

fn environment(variables: &Variables) -> Result<Option<Entra>> {
    let (Some(tenant), Some(client_id)) =
        (variables.get("AZURE_TENANT_ID"), variables.get("AZURE_CLIENT_ID"))
    else {
        return Ok(None);
    };
    let secret =
        variables.get("AZURE_CLIENT_SECRET").map(|text| Proof::Password(Secret::new(text)));
    let certificate = variables.get("AZURE_CLIENT_CERTIFICATE_PATH").map(PathBuf::from);
    let proof = match (secret, certificate) {
        (Some(secret), _) => secret,
        (None, Some(path)) => Proof::Certificate(Certificate::read(&path)?),
        (None, None) => return Ok(None),
    };
    Ok(Some(Entra { authority: authority(variables)?, tenant, client_id, proof }))
}

fn workload(variables: &Variables) -> Result<Option<Entra>> {
    let get = |name: &str| variables.get(name);
    let (Some(file), Some(tenant), Some(client_id)) =
        (get("AZURE_FEDERATED_TOKEN_FILE"), get("AZURE_TENANT_ID"), get("AZURE_CLIENT_ID"))
    else {
        return Ok(None);
    };
    let proof = Proof::File(PathBuf::from(file));
    Ok(Some(Entra { authority: authority(variables)?, tenant, client_id, proof }))
}

fn managed(variables: &Variables) -> Result<Source> {
    let client_id = variables.get("AZURE_CLIENT_ID");
    let endpoint = variables.get("IDENTITY_ENDPOINT");
    if let (Some(endpoint), Some(header)) = (endpoint, variables.get("IDENTITY_HEADER")) {
        let endpoint = Url::parse(&endpoint)
            .map_err(|e| configuration("reading IDENTITY_ENDPOINT", e.to_string()))?;
        let header = Secret::new(header);
        return Ok(Source::AppService(machine::AppService { endpoint, header, client_id }));
    }
    let host = variables.get("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let host = host.unwrap_or_else(|| machine::METADATA.to_owned());
    let host = Url::parse(&format!("{}/", host.trim_end_matches('/')))
        .map_err(|e| configuration("reading AZURE_POD_IDENTITY_AUTHORITY_HOST", e.to_string()))?;
    Ok(Source::Machine(machine::Machine { host, client_id }))
}

/// Who gives tokens: that is told, or follows from the cloud, whose names are sigstore's.
fn authority(variables: &Variables) -> Result<Url> {
    let text = variables.get("AZURE_AUTHORITY_HOST").unwrap_or_else(|| {
        match variables.get("AZURE_ENVIRONMENT").unwrap_or_default().to_ascii_uppercase().as_str() {
            "AZUREUSGOVERNMENT" | "AZUREUSGOVERNMENTCLOUD" => "https://login.microsoftonline.us",
            "AZURECHINACLOUD" => "https://login.chinacloudapi.cn",
            _ => "https://login.microsoftonline.com",
        }
        .to_owned()
    });
    let refused = |why: String| configuration("reading AZURE_AUTHORITY_HOST", why);
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/')))
        .map_err(|e| refused(e.to_string()))?;
    // A password goes there.
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err(refused(format!("{url} is not https")));
    }
    Ok(url)
}
