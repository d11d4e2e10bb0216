//! Which address the service has in a region: <https://docs.aws.amazon.com/general/latest/gr/ddb.html>.

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
    /// The whole address, of the table's URL or of the environment.
    pub(super) url: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

pub(super) fn endpoint(choice: Choice<'_>) -> Result<Url> {
    let text = match choice.url {
        Some(url) if url.contains("://") => format!("{}/", url.trim_end_matches('/')),
        // Go's library takes it for this.
        Some(host) => format!("https://{}/", host.trim_end_matches('/')),
        None => by_region(choice),
    };
    let refused = |why: String| {
        let what = format!("reading the address of DynamoDB, {text}");
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
    // In its government's regions, the usual address is the one with FIPS 140.
    let has_own = choice.fips && (choice.dual_stack || !region.starts_with("us-gov-"));
    let service = if has_own { "dynamodb-fips" } else { "dynamodb" };
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
        check(of("us-east-1"), "https://dynamodb.us-east-1.amazonaws.com/");
        check(of("cn-north-1"), "https://dynamodb.cn-north-1.amazonaws.com.cn/");
        check(of("us-isob-east-1"), "https://dynamodb.us-isob-east-1.sc2s.sgov.gov/");
        let fips = |region| Choice { fips: true, ..of(region) };
        check(fips("ca-west-1"), "https://dynamodb-fips.ca-west-1.amazonaws.com/");
        check(fips("us-gov-west-1"), "https://dynamodb.us-gov-west-1.amazonaws.com/");
        let dual = Choice { dual_stack: true, ..of("eu-west-1") };
        check(dual, "https://dynamodb.eu-west-1.api.aws/");
        let at = |url| Choice { url: Some(url), ..of("eu-west-1") };
        check(at("http://127.0.0.1:8000"), "http://127.0.0.1:8000/");
        check(
            at("vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com"),
            "https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com/",
        );
        endpoint(at("ftp://x")).expect_err("no such scheme");
    }
}
