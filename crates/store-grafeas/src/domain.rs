//! Whose server it is: a credential for a domain is shown there alone.

use chains_core::{Error, ErrorKind, Result};
use chains_http::Address;

/// Whether it is a host of this domain, spoken to over TLS: only there, a credential for the domain is shown.
///
/// # Errors
/// [`ErrorKind::Configuration`] where it is one over plain HTTP.
pub(crate) fn is_of(address: &Address, domain: &str) -> Result<bool> {
    let host = address.base().host_str().unwrap_or_default();
    let is_of =
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if is_of && address.base().scheme() != "https" {
        let what = format!("using {address} (`storage.grafeas.endpoint`)");
        let why = "a token would be shown to whoever listens: use https://";
        return Err(Error::new(ErrorKind::Configuration, what).with_source(why));
    }
    Ok(is_of)
}

#[cfg(test)]
mod tests {
    use chains_core::Secret;

    use super::*;

    #[test]
    fn tokens_are_for_hosts_of_the_domain_over_tls() {
        let is_of = |text: &str| {
            is_of(&Address::parse("reading", &Secret::new(text)).unwrap(), "googleapis.com")
        };
        assert!(is_of("https://containeranalysis.googleapis.com").unwrap());
        assert!(is_of("https://containeranalysis.us-east1.rep.googleapis.com/").unwrap());
        assert!(!is_of("https://evilgoogleapis.com").unwrap());
        assert!(!is_of("https://googleapis.com.example.com").unwrap());
        assert!(!is_of("http://127.0.0.1:1").unwrap());
        let error = is_of("http://containeranalysis.googleapis.com").unwrap_err();
        assert!(error.report().contains("use https://"), "{}", error.report());
    }
}
