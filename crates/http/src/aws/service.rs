//! What is asked, and where it is said to be.

use crate::Exchange;

/// A service that speaks AWS's [JSON protocol].
///
/// [JSON protocol]: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// What it is called, for errors.
    pub title: &'static str,
    /// Its name in signatures and addresses.
    pub name: &'static str,
    /// Its name for AWS's own libraries: in variables (`AWS_ENDPOINT_URL_ID`) and profiles.
    pub id: &'static str,
    /// What precedes operations in `X-Amz-Target`.
    pub target: &'static str,
    /// The media type of requests, which tells the version of the protocol.
    pub media_type: &'static str,
    /// Whether in its government's regions the usual address is the one with FIPS 140.
    pub fips_by_itself: bool,
    /// How its answers are read.
    pub exchange: Exchange,
}

/// What whoever asks says of where a service is; what is not said is as the environment has it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// What is asked about there, for errors.
    pub about: String,
    /// What to do where no region is known, for errors.
    pub no_region: &'static str,
    /// The whole address; one without `http://` and `https://` is taken for a host with TLS, as Go's library does.
    pub url: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Whether credentials are asked for in that region too; else where the environment says.
    pub credentials_there: bool,
    /// The profile, in the files that AWS's tools read.
    pub profile: Option<String>,
    /// The ARN of a role to take on.
    pub role: Option<String>,
    /// Whether the address is the one with FIPS 140.
    pub fips: Option<bool>,
    /// Whether the address is the one that IPv6 reaches too.
    pub dual_stack: Option<bool>,
}
