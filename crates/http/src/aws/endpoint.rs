//! Which address a service has in a region: <https://docs.aws.amazon.com/general/latest/gr/rande.html>.

use chains_core::{Error, ErrorKind, Result};
use reqwest::Url;

use super::Service;

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
    /// The whole address, as whoever asks or the environment has it.
    pub(super) url: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

pub(super) fn endpoint(service: &Service, choice: Choice<'_>) -> Result<Url> {
    let text = match choice.url {
        Some(url) if url.contains("://") => format!("{}/", url.trim_end_matches('/')),
        Some(host) => format!("https://{}/", host.trim_end_matches('/')),
        None => by_region(service, choice),
    };
    let refused = |why: String| {
        let what = format!("reading the address of {}, {text}", service.title);
        Error::new(ErrorKind::Configuration, what).with_source(why)
    };
    let url = Url::parse(&text).map_err(|e| refused(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it is neither http nor https".to_owned()));
    }
    Ok(url)
}

fn by_region(service: &Service, choice: Choice<'_>) -> String {
    let region = choice.region;
    let (usual, dual) = PARTITIONS
        .iter()
        .find(|row| region.starts_with(row.0))
        .map_or(("amazonaws.com", "api.aws"), |row| (row.1, row.2));
    let by_itself = service.fips_by_itself && region.starts_with("us-gov-") && !choice.dual_stack;
    let fips = if choice.fips && !by_itself { "-fips" } else { "" };
    let domain = if choice.dual_stack { dual } else { usual };
    format!("https://{}{fips}.{region}.{domain}/", service.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exchange;

    const KMS: Service = Service {
        title: "AWS KMS",
        name: "kms",
        id: "KMS",
        target: "TrentService",
        media_type: "application/x-amz-json-1.1",
        fips_by_itself: false,
        exchange: Exchange::up_to(0),
    };
    const DYNAMODB: Service = Service { name: "dynamodb", fips_by_itself: true, ..KMS };

    fn of(region: &str) -> Choice<'_> {
        Choice { region, ..Choice::default() }
    }

    fn fips(region: &str) -> Choice<'_> {
        Choice { fips: true, ..of(region) }
    }

    #[track_caller]
    fn check(service: &Service, choice: Choice<'_>, expect: &str) {
        assert_eq!(endpoint(service, choice).expect("an address").as_str(), expect);
    }

    #[test]
    fn addresses_are_those_of_the_documentation() {
        check(&KMS, of("us-east-1"), "https://kms.us-east-1.amazonaws.com/");
        check(&KMS, of("cn-north-1"), "https://kms.cn-north-1.amazonaws.com.cn/");
        check(&KMS, of("us-gov-west-1"), "https://kms.us-gov-west-1.amazonaws.com/");
        check(&KMS, of("us-isob-east-1"), "https://kms.us-isob-east-1.sc2s.sgov.gov/");
        check(&KMS, fips("ca-west-1"), "https://kms-fips.ca-west-1.amazonaws.com/");
        check(&KMS, fips("us-gov-west-1"), "https://kms-fips.us-gov-west-1.amazonaws.com/");
        let dual = Choice { dual_stack: true, ..of("eu-west-1") };
        check(&KMS, dual, "https://kms.eu-west-1.api.aws/");
        check(&DYNAMODB, of("us-east-1"), "https://dynamodb.us-east-1.amazonaws.com/");
        check(&DYNAMODB, of("cn-north-1"), "https://dynamodb.cn-north-1.amazonaws.com.cn/");
        check(&DYNAMODB, of("us-isob-east-1"), "https://dynamodb.us-isob-east-1.sc2s.sgov.gov/");
        check(&DYNAMODB, fips("ca-west-1"), "https://dynamodb-fips.ca-west-1.amazonaws.com/");
        check(&DYNAMODB, fips("us-gov-west-1"), "https://dynamodb.us-gov-west-1.amazonaws.com/");
        let both = Choice { dual_stack: true, ..fips("us-gov-west-1") };
        check(&DYNAMODB, both, "https://dynamodb-fips.us-gov-west-1.api.aws/");
        check(&DYNAMODB, dual, "https://dynamodb.eu-west-1.api.aws/");
    }

    #[test]
    fn an_address_that_is_said_is_taken() {
        let at = |url| Choice { url: Some(url), ..of("eu-west-1") };
        check(&KMS, at("http://127.0.0.1:4566"), "http://127.0.0.1:4566/");
        check(&KMS, at("localhost:4566"), "https://localhost:4566/");
        check(
            &DYNAMODB,
            at("vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com"),
            "https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com/",
        );
        let report = endpoint(&KMS, at("ftp://x")).expect_err("no such scheme").report();
        let words = "reading the address of AWS KMS, ftp://x/: it is neither http nor https";
        assert_eq!(report, words);
    }
}
