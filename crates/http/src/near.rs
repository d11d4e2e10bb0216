//! Who is beside us.

use url::{Host, Url};

/// Whether the address is one of this machine itself: what goes there is seen by nobody on the way.
///
/// ```
/// # use chains_http::is_loopback;
/// assert!(is_loopback(&"http://[::1]:8080".parse()?));
/// assert!(!is_loopback(&"http://localhost.example.com".parse()?));
/// # Ok::<(), url::ParseError>(())
/// ```
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the address is on this machine, or of one of the metadata services beside it, which hand out credentials: no
/// proxy reaches the right one, or may see what it answers.
#[must_use]
pub fn is_beside_us(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local() || address.is_loopback(),
        // `fd00:ec2::/32` is where AWS has them.
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || matches!(address.segments(), [0xfd00, 0xec2, ..])
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_beside_us() {
        let is = |url: &str| is_beside_us(&Url::parse(url).unwrap());
        for near in [
            "http://169.254.169.254/metadata",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://127.0.0.1:40342",
            "http://[::1]",
            "http://localhost:1",
        ] {
            assert!(is(near), "{near}");
        }
        for far in ["http://10.0.0.1", "http://[fd00::1]", "http://localhost.example.com"] {
            assert!(!is(far), "{far}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let is = |url: &str| is_loopback(&Url::parse(url).unwrap());
        assert!(is("http://127.0.0.1") && is("http://[::1]:1") && is("https://localhost/path"));
        for far in
            ["http://169.254.169.254", "http://[fd00:ec2::23]", "http://127.0.0.1.example.com"]
        {
            assert!(!is(far), "{far}");
        }
    }
}
