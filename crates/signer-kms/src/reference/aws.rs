//! `awskms://[ENDPOINT]/ID`, `…/KEY-ARN`, `…/alias/NAME`, `…/ALIAS-ARN`

use super::azure::is_of_host;
use super::quoted;

/// A key in AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKey {
    pub(crate) reference: String,
    /// Host, with its port if any, in place of the region's own.
    pub(crate) endpoint: Option<String>,
    /// What AWS calls `KeyId`: an id, an alias, or the ARN of either.
    pub(crate) id: String,
    /// Of an ARN.
    pub(crate) region: Option<String>,
    /// An alias may be pointed to another key.
    pub(crate) is_alias: bool,
}

const FORM: &str = "awskms://[ENDPOINT]/ID, awskms://[ENDPOINT]/alias/NAME, or the ARN of either";

pub(super) fn read(text: &str, rest: &str) -> Result<AwsKey, String> {
    let Some((endpoint, id)) = rest.split_once('/') else {
        return Err(format!(
            "no slash follows the endpoint, which may be empty: it reads {FORM}, e.g. \
             awskms:///alias/NAME"
        ));
    };
    if let Some(odd) = endpoint.chars().find(|c| !is_of_host(*c)) {
        return Err(format!("the endpoint holds {odd:?}: it is a host with its port if any"));
    }
    if id.is_empty() {
        return Err(format!("it names no key: it reads {FORM}"));
    }
    let (region, resource) = match id.strip_prefix("arn:") {
        Some(arn) => arn_parts(arn).map(|(region, resource)| (Some(region), resource))?,
        None => (None, id),
    };
    let is_alias = resource.starts_with("alias/");
    if is_alias {
        check_alias(resource)?;
    } else {
        let key = if region.is_some() { strip_key(resource)? } else { resource };
        check_id(key)?;
    }
    Ok(AwsKey {
        reference: text.to_owned(),
        endpoint: Some(endpoint).filter(|endpoint| !endpoint.is_empty()).map(str::to_owned),
        id: id.to_owned(),
        region: region.map(str::to_owned),
        is_alias,
    })
}

/// Region and resource of `PARTITION:kms:REGION:ACCOUNT:RESOURCE`.
fn arn_parts(arn: &str) -> Result<(&str, &str), String> {
    const FORM: &str = "arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME";
    let [partition, service, region, account, resource] =
        arn.splitn(5, ':').collect::<Vec<_>>()[..]
    else {
        return Err(format!("the ARN has too few parts: it reads {FORM}"));
    };
    if !partition.strip_prefix("aws").is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
        return Err(format!("{} is no partition of AWS: the ARN reads {FORM}", quoted(partition)));
    }
    if service != "kms" {
        return Err(format!("the ARN is of {}, not of kms: it reads {FORM}", quoted(service)));
    }
    let is_of_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || !region.chars().all(is_of_region) {
        return Err(format!("{} is no region: the ARN reads {FORM}", quoted(region)));
    }
    if account.len() != 12 || !account.chars().all(|c| c.is_ascii_digit()) {
        return Err(format!("{} is no account, which has 12 digits", quoted(account)));
    }
    Ok((region, resource))
}

fn strip_key(resource: &str) -> Result<&str, String> {
    resource
        .strip_prefix("key/")
        .ok_or_else(|| format!("{} is neither key/ID nor alias/NAME", quoted(resource)))
}

fn check_alias(resource: &str) -> Result<(), String> {
    let name = resource.strip_prefix("alias/").unwrap_or_default();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    if name.is_empty() {
        return Err("no name follows alias/".to_owned());
    }
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(odd) => Err(format!("the alias holds {odd:?}: allowed are a-z A-Z 0-9 / _ -")),
        None => Ok(()),
    }
}

/// A UUID, with or without hyphens; that of a multi-Region key follows `mrk-`.
fn check_id(id: &str) -> Result<(), String> {
    let uuid = id.strip_prefix("mrk-").unwrap_or(id);
    let digits = uuid.chars().filter(|c| *c != '-').count();
    let is_uuid = digits == 32 && uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if is_uuid {
        return Ok(());
    }
    Err(format!("{} is no id of a key (a UUID), no alias/NAME and no ARN", quoted(id)))
}
