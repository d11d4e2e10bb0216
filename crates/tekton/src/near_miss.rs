//! Names that look as if they were meant to be a type hint and are none.

use crate::hints::{
    ARTIFACT_DIGEST, ARTIFACT_INPUTS, ARTIFACT_OUTPUTS, ARTIFACT_URI, GIT_COMMIT, GIT_URL,
    IMAGE_DIGEST, IMAGE_URL, IMAGES,
};

/// What people write, in capitals and with `_` between words, and what they mean. A longer one comes before
/// another that it ends in.
const MEANT: [(&str, &str); 20] = [
    ("IMAGE_URL", IMAGE_URL),
    ("IMAGE_URI", IMAGE_URL),
    ("IMAGE_REF", IMAGE_URL),
    ("IMAGE_REFERENCE", IMAGE_URL),
    ("IMAGE_NAME", IMAGE_URL),
    ("IMAGE_DIGEST", IMAGE_DIGEST),
    ("IMAGE_SHA", IMAGE_DIGEST),
    ("IMAGE_SHA256", IMAGE_DIGEST),
    ("ARTIFACT_URI", ARTIFACT_URI),
    ("ARTIFACT_URL", ARTIFACT_URI),
    ("ARTIFACT_DIGEST", ARTIFACT_DIGEST),
    ("ARTIFACT_SHA256", ARTIFACT_DIGEST),
    ("ARTIFACT_OUTPUTS", ARTIFACT_OUTPUTS),
    ("ARTIFACT_OUTPUT", ARTIFACT_OUTPUTS),
    ("ARTIFACT_INPUTS", ARTIFACT_INPUTS),
    ("ARTIFACT_INPUT", ARTIFACT_INPUTS),
    ("IMAGES", IMAGES),
    ("IMAGE", IMAGES),
    ("GIT_URL", GIT_URL),
    ("GIT_COMMIT", GIT_COMMIT),
];

/// Why a name is not read as a hint; `None` where it is one, or nothing like one.
pub(crate) fn explain(name: &str) -> Option<String> {
    if is_hint(name) {
        return None;
    }
    let plain = in_capitals(name);
    let (_, meant) = MEANT.into_iter().find(|(written, _)| {
        plain.strip_suffix(written).is_some_and(|before| {
            // `RELEASE_IMAGE_URL` and `imageUrl`'s like, not `PILGRIMAGE_URL`.
            before.is_empty() || before.ends_with('_')
        })
    })?;
    Some(match meant {
        IMAGES => format!("not a name that is read: the hint's whole name is `{IMAGES}`"),
        GIT_URL | GIT_COMMIT => {
            format!("not a name that is read: the hint's whole name is `{meant}`")
        }
        suffix => {
            format!("not a name that is read: the hint's name ends in `{suffix}`, written just so")
        }
    })
}

/// `image-url` and `imageUrl` as `IMAGE_URL`.
fn in_capitals(name: &str) -> String {
    let mut plain = String::with_capacity(name.len() + 2);
    let mut after_small = false;
    for c in name.chars() {
        if after_small && c.is_ascii_uppercase() {
            plain.push('_');
        }
        after_small = c.is_ascii_lowercase();
        plain.push(if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    }
    plain
}

fn is_hint(name: &str) -> bool {
    const SUFFIXES: [&str; 6] =
        [IMAGE_URL, IMAGE_DIGEST, ARTIFACT_URI, ARTIFACT_DIGEST, ARTIFACT_OUTPUTS, ARTIFACT_INPUTS];
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || matches!(name, IMAGES | GIT_URL | GIT_COMMIT)
}
