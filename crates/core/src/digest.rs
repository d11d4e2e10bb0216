//! Content digests as `algorithm:hex`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::{Error, ErrorKind};

/// The algorithms that type hints may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-1: git commits.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in front of the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits a digest has.
    #[must_use]
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// Checks that `hex` is a digest of this algorithm.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the number of digits is wrong or one is not in `0-9a-f`.
    pub fn check(self, hex: &str) -> Result<(), Error> {
        let digits = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if digits && hex.len() == self.hex_len() {
            return Ok(());
        }
        if let Some(odd) = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(invalid(format!("{odd:?} is not a lower-case hex digit")));
        }
        let (wanted, found) = (self.hex_len(), hex.len());
        Err(invalid(format!("a {self} digest has {wanted} hex digits, not {found}")))
    }
}

impl FromStr for DigestAlgorithm {
    type Err = Error;

    /// Reads the name in front of the colon.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or_else(|| {
            invalid(format!(
                "unknown digest algorithm {name:?}: known are sha1, sha256, sha384, sha512"
            ))
        })
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest with its algorithm; the hex digits are lower case and of the right number.
///
/// ```
/// use chains_core::Digest;
/// let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse()?;
/// assert_eq!(digest.hex(), "ab".repeat(32));
/// let wrong = format!("sha256:{}", "a".repeat(63)).parse::<Digest>().unwrap_err();
/// assert_eq!(wrong.to_string(), "a sha256 digest has 64 hex digits, not 63");
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    hex: String,
}

impl Digest {
    /// The SHA-256 of `content`.
    #[must_use]
    pub fn sha256_of(content: &[u8]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha256, hex: hex::encode(Sha256::digest(content)) }
    }

    /// Checks `hex` against `algorithm`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the number of digits is wrong or one is not in `0-9a-f`.
    pub fn new(algorithm: DigestAlgorithm, hex: &str) -> Result<Self, Error> {
        algorithm.check(hex)?;
        Ok(Self { algorithm, hex: hex.to_owned() })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The hex digits without the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((name, hex)) = text.split_once(':') else {
            return Err(invalid("no colon between algorithm and digits".to_owned()));
        };
        Self::new(name.parse()?, hex)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(DigestAlgorithm, &str), &str>) {
        match (text.parse::<Digest>(), expect) {
            (Ok(digest), Ok((algorithm, hex))) => {
                assert_eq!((digest.algorithm(), digest.hex()), (algorithm, hex), "{text}");
                assert_eq!(digest.to_string(), text);
            }
            (Err(error), Err(why)) => assert_eq!(error.to_string(), why, "{text}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn reads_each_algorithm() {
        for algorithm in DigestAlgorithm::ALL {
            let hex = "0f".repeat(algorithm.hex_len() / 2);
            check(&format!("{algorithm}:{hex}"), Ok((algorithm, &hex)));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        check("", Err("no colon between algorithm and digits"));
        check("sha256", Err("no colon between algorithm and digits"));
        check("sha256:", Err("a sha256 digest has 64 hex digits, not 0"));
        check("sha1:abc", Err("a sha1 digest has 40 hex digits, not 3"));
        check("sha512:ab:cd", Err("':' is not a lower-case hex digit"));
        check(&format!("sha256:{}", "A".repeat(64)), Err("'A' is not a lower-case hex digit"));
        check(&format!("sha256:{}\n", "a".repeat(64)), Err("'\\n' is not a lower-case hex digit"));
        let unknown = |name: &str| {
            format!("unknown digest algorithm {name:?}: known are sha1, sha256, sha384, sha512")
        };
        check("md5:00", Err(&unknown("md5")));
        check("SHA256:00", Err(&unknown("SHA256")));
        check(":00", Err(&unknown("")));
    }
}
