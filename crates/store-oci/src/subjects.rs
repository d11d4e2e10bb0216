//! Which subjects of a statement are images in a registry.

use std::fmt;

use chains_core::{Digest, DigestAlgorithm, ImageDigest, Subject};

/// The subjects that get no attestation in a registry, each with the reason: they are no images.
///
/// [`OciStore`](crate::OciStore) tells them in the log, because its outcome tells where something is.
///
/// ```
/// use chains_core::Subject;
/// let jar = Subject { name: "target/app.jar".to_owned(), digest: [].into() };
/// assert_eq!(chains_store_oci::left_out(&[jar]), ["\"target/app.jar\" has no sha256 digest"]);
/// ```
#[must_use]
pub fn left_out(subjects: &[Subject]) -> Vec<String> {
    images(subjects).1.iter().map(Other::to_string).collect()
}

/// A subject that is no image, and why not.
pub(crate) struct Other<'a> {
    pub(crate) subject: &'a str,
    pub(crate) why: String,
}

impl fmt::Display for Other<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.subject, self.why)
    }
}

pub(crate) fn told(others: &[Other<'_>]) -> String {
    others.iter().map(Other::to_string).collect::<Vec<_>>().join(", ")
}

/// The images among subjects, each once, and the others.
pub(crate) fn images(subjects: &[Subject]) -> (Vec<ImageDigest>, Vec<Other<'_>>) {
    let mut images = Vec::new();
    let mut others = Vec::new();
    for subject in subjects {
        match image(subject) {
            Ok(image) if images.contains(&image) => {}
            Ok(image) => images.push(image),
            Err(why) => others.push(Other { subject: &subject.name, why }),
        }
    }
    (images, others)
}

/// The image that a subject is, or why it is none, to be read after its name.
///
/// An image's name begins with its registry: what names no registry (`app.jar`) would else be taken for an
/// image of Docker Hub.
fn image(subject: &Subject) -> Result<ImageDigest, String> {
    let name = &subject.name;
    if name.contains("://")
        || ["pkg:", "git+", "urn:"].iter().any(|scheme| name.starts_with(scheme))
    {
        return Err("is an address of another kind".to_owned());
    }
    let Some(hex) = subject.digest.get(DigestAlgorithm::Sha256.as_str()) else {
        return Err("has no sha256 digest".to_owned());
    };
    let host = name.split_once('/').map(|(host, _)| host);
    if host.is_some_and(|host| host.ends_with(':')) {
        return Err("is an address of another kind".to_owned());
    }
    if !host.is_some_and(|host| host == "localhost" || host.contains(['.', ':'])) {
        return Err("names no registry".to_owned());
    }
    let digest =
        Digest::new(DigestAlgorithm::Sha256, hex).map_err(|e| format!("has an odd digest: {e}"))?;
    format!("{name}@{digest}").parse().map_err(|e| format!("is not the name of an image: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, digests: &[(&str, &str)], expect: Result<&str, &str>) {
        let digest = digests.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let found = image(&Subject { name: name.to_owned(), digest });
        assert_eq!(
            found.map(|image| image.name.to_string()),
            expect.map(str::to_owned).map_err(str::to_owned)
        );
    }

    #[test]
    fn an_image_has_a_registry_and_a_digest() {
        let hex = "ab".repeat(32);
        let good = [("sha256", hex.as_str())];
        check("gcr.io/team/app", &good, Ok("gcr.io/team/app"));
        check("gcr.io/team/app:v1", &good, Ok("gcr.io/team/app"));
        check("index.docker.io/library/alpine", &good, Ok("index.docker.io/library/alpine"));
        check("localhost:5000/app", &good, Ok("localhost:5000/app"));
        check("localhost/app", &good, Ok("localhost/app"));
        check("[::1]:5000/app", &good, Ok("[::1]:5000/app"));
        check("app.jar", &good, Err("names no registry"));
        check("target/app.jar", &good, Err("names no registry"));
        check("git+https://github.com/a/b", &good, Err("is an address of another kind"));
        check("pkg:maven/a/b@1", &good, Err("is an address of another kind"));
        check("gcr.io/a/b", &[("sha1", "ab")], Err("has no sha256 digest"));
        check(
            "gcr.io/a/b",
            &[("sha256", "ab")],
            Err("has an odd digest: a sha256 digest has 64 hex digits, not 2"),
        );
        check(
            "gcr.io/A/b",
            &good,
            Err(
                "is not the name of an image: repository \"A/b\" holds 'A', allowed are a-z 0-9 _ - . /",
            ),
        );
        check("", &good, Err("names no registry"));
    }
}
