//! Reading one value: each reader gives the typed value, or says why the text is refused in words
//! that follow the quoted text ("is not one of …").

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chains_core::ImageName;
use url::Url;

use crate::names::one_of;
use crate::{ExtraStore, FormatName, KmsScheme, StorageName, TransparencyMode};

pub(crate) type Read<T> = Result<T, String>;

/// The address of a service, `http` or `https`, as written but without slashes at its end.
///
/// A user and password in it never show in `Debug` and `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// The address, with user and password if it has them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Never seen outside: stands in where the value is at fault, and faults are what is returned.
    pub(crate) const fn blank() -> Self {
        Self(String::new())
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_userinfo(&self.0))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_userinfo(&self.0))
    }
}

/// Reference to a key in a key management service: `SCHEME://REST`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KmsRef {
    scheme: KmsScheme,
    text: String,
}

impl KmsRef {
    /// Whether the text starts as a reference does.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| KmsScheme::NAMES.contains(&scheme))
    }

    /// The kind of service.
    #[must_use]
    pub const fn scheme(&self) -> KmsScheme {
        self.scheme
    }

    /// The whole reference, as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What follows `SCHEME://`.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, rest)| rest)
    }
}

impl FromStr for KmsRef {
    type Err = String;

    /// Reads a reference as `signers.kms.kmsref` does.
    fn from_str(text: &str) -> Result<Self, String> {
        kms_ref(text)
    }
}

impl fmt::Display for KmsRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a private key at hand is: `/FOLDER` or `k8s://NAMESPACE/SECRET`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum X509Key {
    /// A folder with the files that the Secret `signing-secrets` is mounted as.
    Folder(PathBuf),
    /// A Secret with these entries.
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for X509Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Secret { namespace, name } => write!(f, "k8s://{namespace}/{name}"),
        }
    }
}

/// Replaces `user:password@` of a URL.
pub(crate) fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..authority).and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("{scheme}://[redacted]{}", rest.get(at..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(crate) fn run_format(text: &str) -> Read<FormatName> {
    one_of(FormatName::OF_RUNS, FormatName::as_str, text)
}

pub(crate) fn image_format(text: &str) -> Read<FormatName> {
    one_of(FormatName::OF_IMAGES, FormatName::as_str, text)
}

/// The longest duration that is taken.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A duration in hours, minutes and seconds, as Go writes it: `1h30m`.
pub(crate) fn duration(text: &str) -> Read<Duration> {
    let mut rest = text;
    let mut total = Some(Duration::ZERO);
    let mut units = ['h', 'm', 's'].iter();
    while !rest.is_empty() {
        let (number, unit) = rest
            .find(|c: char| !c.is_ascii_digit())
            .and_then(|at| rest.split_at_checked(at))
            .filter(|(number, _)| !number.is_empty())
            .ok_or_else(not_a_duration)?;
        let known = unit.chars().next().filter(|unit| units.by_ref().any(|known| known == unit));
        let seconds = match known.ok_or_else(not_a_duration)? {
            'h' => 3600,
            'm' => 60,
            _ => 1,
        };
        rest = unit.get(1..).unwrap_or_default();
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
        total = total.zip(part).and_then(|(sum, s)| sum.checked_add(Duration::from_secs(s)));
    }
    match total {
        Some(total) if (Duration::from_secs(1)..=LONGEST).contains(&total) => Ok(total),
        _ => Err("is out of range: allowed are 1s to 24h".to_owned()),
    }
}

fn not_a_duration() -> String {
    "is not a duration such as 90s, 10m, 1h or 1h30m".to_owned()
}

pub(crate) fn number(text: &str, allowed: RangeInclusive<u32>) -> Read<u32> {
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("is not a number from {} to {}", allowed.start(), allowed.end()))
}

pub(crate) fn x509_key(text: &str) -> Read<X509Key> {
    if text.starts_with('/') {
        return path(text).map(X509Key::Folder);
    }
    let rest = text
        .strip_prefix("k8s://")
        .ok_or("is neither an absolute path nor k8s://NAMESPACE/SECRET")?;
    let parts = rest.split_once('/').filter(|(_, name)| !name.contains('/'));
    let (namespace, name) = parts.ok_or("does not read k8s://NAMESPACE/SECRET")?;
    if !is_label(namespace, 63) {
        return Err(format!("names {namespace:?}, which cannot be a namespace"));
    }
    if name.len() > 253 || !name.split('.').all(|part| is_label(part, 253)) {
        return Err(format!("names {name:?}, which cannot be a Secret"));
    }
    Ok(X509Key::Secret { namespace: namespace.to_owned(), name: name.to_owned() })
}

/// Names of objects: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
fn is_label(text: &str, most: usize) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=most).contains(&text.len())
        && text.chars().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub(crate) fn boolean(text: &str) -> Read<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

pub(crate) fn transparency_mode(text: &str) -> Read<TransparencyMode> {
    if text.eq_ignore_ascii_case(TransparencyMode::Manual.as_str()) {
        return Ok(TransparencyMode::Manual);
    }
    match boolean(text) {
        Ok(true) => Ok(TransparencyMode::Enabled),
        Ok(false) => Ok(TransparencyMode::Disabled),
        Err(_) => Err("is none of true, false, manual".to_owned()),
    }
}

/// Parts a comma list; spaces around its items do not count.
pub(crate) fn list(text: &str) -> Read<Vec<&str>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<_> = text.split(',').map(str::trim).collect();
    if items.iter().any(|item| item.is_empty()) {
        return Err("has an empty item between its commas".to_owned());
    }
    Ok(items)
}

pub(crate) fn storages(text: &str, extras: &[&'static ExtraStore]) -> Read<BTreeSet<StorageName>> {
    let extras = extras.iter().map(|store| StorageName::Extra(store));
    let all: Vec<_> = StorageName::ALL.iter().copied().chain(extras).collect();
    let name = |item| match item {
        StorageName::KAFKA => Ok(StorageName::PubSub),
        _ => one_of(&all, StorageName::as_str, item)
            .map_err(|why| format!("names {item:?}, which {why}")),
    };
    list(text)?.into_iter().map(name).collect()
}

pub(crate) fn strings(text: &str) -> Read<BTreeSet<String>> {
    Ok(list(text)?.into_iter().map(str::to_owned).collect())
}

/// `host:port`, several of them.
pub(crate) fn servers(text: &str) -> Read<Vec<String>> {
    let server = |item: &str| {
        let (host, port) = item.rsplit_once(':').unwrap_or((item, ""));
        let odd =
            host.is_empty() || host.contains(['/', '@']) || host.contains(char::is_whitespace);
        if odd || port.parse::<u16>().is_err() {
            return Err(format!("names {item:?}, which is not HOST:PORT"));
        }
        Ok(item.to_owned())
    };
    list(text)?.into_iter().map(server).collect()
}

pub(crate) fn service_url(text: &str) -> Read<ServiceUrl> {
    let parsed = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err("is not an http or https URL".to_owned());
    }
    // The parser mends `https:host`; whoever joins a path to the text would not.
    if !text.contains("://") || text.contains(char::is_whitespace) {
        return Err("is not a URL: it must read https://HOST".to_owned());
    }
    Ok(ServiceUrl(text.trim_end_matches('/').to_owned()))
}

/// The address of a server of buckets. It shows in the locations of records, so there must be no credentials in it;
/// `variable` is where they belong.
pub(crate) fn bucket_url(text: &str, variable: &str) -> Read<ServiceUrl> {
    let url = service_url(text)?;
    let holds_more = |url: Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        has_user || url.query().is_some() || url.fragment().is_some()
    };
    if Url::parse(text).is_ok_and(holds_more) {
        return Err(format!(
            "must have no user, password, query and fragment: credentials belong into {variable}"
        ));
    }
    Ok(url)
}

pub(crate) fn service_urls(text: &str) -> Read<Vec<ServiceUrl>> {
    let url = |item: &str| service_url(item).map_err(|why| format!("names {item:?}, which {why}"));
    list(text)?.into_iter().map(url).collect()
}

pub(crate) fn repository(text: &str) -> Read<ImageName> {
    // Names of images are read as cosign reads them, to which `https:` is a host.
    if text.contains("://") {
        return Err("is a URL: a repository reads [HOST[:PORT]/]PATH".to_owned());
    }
    text.parse().map_err(|error: chains_core::Error| format!("is not a repository: {error}"))
}

pub(crate) fn kms_ref(text: &str) -> Read<KmsRef> {
    let (scheme, rest) = text.split_once("://").ok_or_else(kms_schemes)?;
    let scheme =
        one_of(KmsScheme::ALL, KmsScheme::as_str, scheme).map_err(|_unknown| kms_schemes())?;
    if rest.is_empty() || rest.contains(char::is_whitespace) {
        return Err(format!("names no key after {scheme}://"));
    }
    Ok(KmsRef { scheme, text: text.to_owned() })
}

fn kms_schemes() -> String {
    let schemes: Vec<_> = KmsScheme::NAMES.iter().map(|name| format!("{name}://")).collect();
    format!("does not start with one of {}", schemes.join(", "))
}

/// A collection, as go-cloud's docstore writes it; its store reads the rest.
pub(crate) fn docdb_url(text: &str) -> Read<String> {
    const SCHEMES: [&str; 3] = ["mongo", "firestore", "dynamodb"];
    match text.split_once("://") {
        Some((scheme, rest))
            if SCHEMES.contains(&scheme) && !rest.starts_with('?') && !rest.is_empty() =>
        {
            plain(text)
        }
        Some((scheme, _)) if SCHEMES.contains(&scheme) => {
            Err(format!("names no collection after {scheme}://"))
        }
        _ => Err("does not start with one of mongo://, firestore://, dynamodb://".to_owned()),
    }
}

pub(crate) fn spire_socket(text: &str) -> Read<String> {
    match text.split_once(':') {
        Some(("unix" | "tcp", rest)) if !rest.trim_matches('/').is_empty() => plain(text),
        _ => Err("is not the address of a socket, unix:///PATH or tcp://IP:PORT".to_owned()),
    }
}

/// Names of buckets: <https://cloud.google.com/storage/docs/buckets#naming>.
pub(crate) fn bucket(text: &str) -> Read<String> {
    of_chars(text, 3..=222, "a-z 0-9 - _ .", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
    })
}

/// Names of buckets: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
pub(crate) fn s3_bucket(text: &str) -> Read<String> {
    of_chars(text, 3..=63, "a-z 0-9 - .", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.')
    })
}

/// Names of storage accounts: <https://learn.microsoft.com/azure/storage/common/storage-account-overview>.
pub(crate) fn azure_account(text: &str) -> Read<String> {
    of_chars(text, 3..=24, "a-z 0-9", |c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// Names of containers: <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>.
pub(crate) fn azure_container(text: &str) -> Read<String> {
    of_chars(text, 3..=63, "a-z 0-9 -", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
    })
}

/// A folder in a bucket; slashes around it do not count.
pub(crate) fn prefix(text: &str) -> Read<String> {
    let path = text.trim_matches('/');
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("is not a path without empty parts, `.` and `..`".to_owned());
    }
    of_chars(path, 1..=256, "a-z A-Z 0-9 - _ . /", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')
    })
}

/// Names of topics, as Kafka allows them.
pub(crate) fn topic(text: &str) -> Read<String> {
    of_chars(text, 1..=249, "a-z A-Z 0-9 - _ .", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
    })
}

/// Ids that become one part of a path.
pub(crate) fn id(text: &str) -> Read<String> {
    of_chars(text, 1..=128, "a-z A-Z 0-9 - _ . :", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
    })
}

fn of_chars(
    text: &str,
    length: RangeInclusive<usize>,
    allowed: &str,
    is_allowed: impl Fn(char) -> bool,
) -> Read<String> {
    if let Some(odd) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(format!("holds {odd:?}, allowed are {allowed}"));
    }
    if !length.contains(&text.len()) {
        let (least, most) = (length.start(), length.end());
        return Err(format!("has {} characters, allowed are {least} to {most}", text.len()));
    }
    Ok(text.to_owned())
}

/// Text in one line.
pub(crate) fn plain(text: &str) -> Read<String> {
    match text.chars().find(|c| c.is_control()) {
        Some(odd) => Err(format!("holds the control character {odd:?}")),
        None => Ok(text.to_owned()),
    }
}

pub(crate) fn path(text: &str) -> Read<PathBuf> {
    plain(text).map(PathBuf::from)
}

/// MongoDB's connection string; the reasons never hold a part of it.
pub(crate) fn mongo_server(text: &str) -> Read<chains_core::Secret> {
    if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
        Ok(chains_core::Secret::new(text))
    } else {
        Err("does not start with mongodb:// or mongodb+srv://".to_owned())
    }
}
