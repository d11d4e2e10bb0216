//! References to Secrets: `k8s://namespace/name`.

use std::fmt;
use std::str::FromStr;

use chains_core::{Error, ErrorKind, Result};

const SCHEME: &str = "k8s://";

/// A Secret in a cluster, written `k8s://namespace/name` as cosign does.
///
/// ```
/// use chains_cluster::SecretRef;
/// let at: SecretRef = "k8s://tekton-chains/signing-secrets".parse()?;
/// assert_eq!((at.namespace(), at.name()), ("tekton-chains", "signing-secrets"));
/// assert_eq!(at.to_string(), "k8s://tekton-chains/signing-secrets");
/// assert!("k8s://signing-secrets".parse::<SecretRef>().is_err());
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    namespace: String,
    name: String,
}

impl SecretRef {
    /// Whether the text is meant for a reference: it begins with `k8s://`.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name within the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.namespace, self.name)
    }
}

impl FromStr for SecretRef {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidInput`] telling the form, or which part cannot be a name in Kubernetes.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            let what = format!("{text:?} is no reference to a Secret: {why}");
            Error::new(ErrorKind::InvalidInput, what)
        };
        let parts = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
        let Some((namespace, name)) = parts.filter(|(_, name)| !name.contains('/')) else {
            return Err(refused("the form is k8s://NAMESPACE/NAME"));
        };
        if !is_label(namespace, 63) {
            return Err(refused(NAMESPACE_FORM));
        }
        if name.len() > 253 || !name.split('.').all(|part| is_label(part, 253)) {
            return Err(refused(
                "the name has 1 to 253 of a-z, 0-9, - and ., with a letter or digit at both ends of each part",
            ));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

const NAMESPACE_FORM: &str =
    "the namespace has 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends";

/// Checks that the text can be the name of a namespace: before it becomes part of a request's path.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] telling the form.
pub fn check_namespace(text: &str) -> Result<()> {
    if is_label(text, 63) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("{text:?} is no namespace: {NAMESPACE_FORM}")))
}

/// A label of [RFC 1123](https://www.rfc-editor.org/rfc/rfc1123), as Kubernetes takes it.
fn is_label(text: &str, longest: usize) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=longest).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None`: it is read, and written the same.
    fn check(text: &str, refused: Option<&str>) {
        let read = text.parse::<SecretRef>();
        match (read, refused) {
            (Ok(read), None) => assert_eq!(read.to_string(), text),
            (Err(error), Some(words)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.report().contains(words), "{text}: {}", error.report());
            }
            (read, _) => panic!("{text}: {read:?}"),
        }
    }

    #[test]
    fn the_form_is_that_of_cosign() {
        check("k8s://tekton-chains/signing-secrets", None);
        check("k8s://0/a.b-c.d", None);
        check(&format!("k8s://{}/{}", "n".repeat(63), "s".repeat(253)), None);
    }

    #[test]
    fn anything_else_is_told_the_form() {
        let form = Some("the form is k8s://NAMESPACE/NAME");
        for text in ["", "k8s:/a/b", "K8S://a/b", "k8s://", "k8s://a", "k8s://a/b/c", "a/b"] {
            check(text, form);
        }
    }

    #[test]
    fn what_the_api_server_would_refuse_is_refused_here() {
        for text in
            ["k8s:///b", "k8s://A/b", "k8s://a.b/c", "k8s://-a/b", "k8s://a-/b", "k8s://ä/b"]
        {
            check(text, Some("the namespace has"));
        }
        check(&format!("k8s://{}/b", "n".repeat(64)), Some("the namespace has"));
        let names =
            ["", "B", ".", "..", "a..b", "a.", "-a", "a b", "a%2fb", "b?x=1", "b#c", "a\nb"];
        for name in names {
            check(&format!("k8s://a/{name}"), Some("the name has"));
        }
        check(&format!("k8s://a/{}", "s".repeat(254)), Some("the name has"));
    }
}
