//! Which address the service has in a region: <https://docs.aws.amazon.com/general/latest/gr/kms.html>.

use chains_core::{Error, ErrorKind, Result};
use reqwest::Url;

/// Regions that start so belong to a partition with a domain of its own: its usual one, and the one with IPv6.
const PARTITIONS: [(&str, &str, &str); 6] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
];

/// What decides about the address.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Choice<'a> {
    /// Host and port, of the reference: as in sigstore, over TLS.
    pub(super) host: Option<&'a str>,
    /// The whole address, of the environment.
    pub(super) url: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

pub(super) fn endpoint(choice: Choice<'_>) -> Result<Url> {
    let text = match (choice.host, choice.url) {
        (Some(host), _) => format!("https://{host}/"),
        (None, Some(url)) => format!("{}/", url.trim_end_matches('/')),
        (None, None) => by_region(choice),
    };
    let refused = |why: String| {
        let what = format!("reading the address of AWS KMS, {text}");
        Error::new(ErrorKind::Configuration, what).with_source(why)
    };
    let url = Url::parse(&text).map_err(|e| refused(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it is neither http nor https".to_owned()));
    }
    Ok(url)
}

fn by_region(choice: Choice<'_>) -> String {
    let region = choice.region;
    let (usual, dual) = PARTITIONS
        .iter()
        .find(|row| region.starts_with(row.0))
        .map_or(("amazonaws.com", "api.aws"), |row| (row.1, row.2));
    let service = if choice.fips { "kms-fips" } else { "kms" };
    let domain = if choice.dual_stack { dual } else { usual };
    format!("https://{service}.{region}.{domain}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_documentation() {
        let check = |choice: Choice<'_>, expect: &str| {
            assert_eq!(endpoint(choice).expect("an address").as_str(), expect);
        };
        let of = |region| Choice { region, ..Choice::default() };
        check(of("us-east-1"), "https://kms.us-east-1.amazonaws.com/");
        check(of("cn-north-1"), "https://kms.cn-north-1.amazonaws.com.cn/");
        check(of("us-gov-west-1"), "https://kms.us-gov-west-1.amazonaws.com/");
        check(of("us-isob-east-1"), "https://kms.us-isob-east-1.sc2s.sgov.gov/");
        check(
            Choice { fips: true, ..of("ca-west-1") },
            "https://kms-fips.ca-west-1.amazonaws.com/",
        );
        check(Choice { dual_stack: true, ..of("eu-west-1") }, "https://kms.eu-west-1.api.aws/");
        let url = Some("http://127.0.0.1:4566");
        check(Choice { url, ..of("eu-west-1") }, "http://127.0.0.1:4566/");
        let host = Some("localhost:4566");
        check(Choice { host, url, ..of("eu-west-1") }, "https://localhost:4566/");
        endpoint(Choice { url: Some("ftp://x"), ..of("x") }).expect_err("no such scheme");
    }
}
