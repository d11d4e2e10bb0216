//! Names of objects and what is in them, as Tekton Chains lays them out.

use bytes::Bytes;
use chains_core::{Digest, Error, ErrorKind, Record, RecordKey, Result, RunRef, Signed};

/// The largest object that is written or read, in bytes. The services hold more; provenance never has so much.
pub const MAX_OBJECT: usize = 32 * 1024 * 1024;
/// The longest name of an object, in bytes, with all three services.
const LONGEST_NAME: usize = 1024;
/// How many hex digits tell another set of the same key apart.
const DIGITS: usize = 16;

const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const PEM: &str = "application/x-pem-file";
const BINARY: &str = "application/octet-stream";

/// The objects of a set, in the order of writing: the signature comes last, so who finds it finds the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Payload,
    Certificate,
    Chain,
    Signature,
}

impl Part {
    pub(crate) const ALL: [Self; 4] =
        [Self::Payload, Self::Certificate, Self::Chain, Self::Signature];

    /// What its objects' names end with.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Payload => ".payload",
            Self::Certificate => ".cert",
            Self::Chain => ".chain",
            Self::Signature => ".signature",
        }
    }

    /// The object's name.
    pub(crate) fn of(self, base: &str) -> String {
        format!("{base}{}", self.extension())
    }
}

/// One object of a set.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) part: Part,
    pub(crate) content: Bytes,
    pub(crate) media_type: &'static str,
}

/// Everything that is kept of one record.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    items: Vec<Item>,
}

/// How what is found compares to a set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// It has these parts of the set missing, and nothing else.
    Missing(Vec<Part>),
    /// It has something that the set has not.
    Differs,
}

impl Set {
    /// # Errors
    /// [`ErrorKind::TooLarge`], naming the run and the limit.
    pub(crate) fn of(record: &Record) -> Result<Self> {
        let payload = &record.payload;
        let mut items = vec![item(Part::Payload, payload.bytes.clone(), payload.media_type)];
        let material = record.material.as_deref();
        let certificate = material.and_then(|material| material.certificate.clone());
        if let Some(certificate) = certificate.filter(|text| !text.is_empty()) {
            items.push(item(Part::Certificate, certificate.into(), PEM));
            let chain = material.and_then(|material| material.chain.clone());
            if let Some(chain) = chain.filter(|text| !text.is_empty()) {
                items.push(item(Part::Chain, chain.into(), PEM));
            }
        }
        match &record.signed {
            Some(Signed::Dsse(envelope)) => {
                items.push(item(Part::Signature, envelope.to_json().into(), ENVELOPE));
            }
            Some(Signed::Detached(signature)) => {
                items.push(item(Part::Signature, signature.clone(), BINARY));
            }
            None => {}
        }
        if let Some(large) = items.iter().find(|item| item.content.len() > MAX_OBJECT) {
            let (name, length) = (large.part.extension(), large.content.len());
            let why = format!("its `{name}` has {length} bytes, the limit is {MAX_OBJECT}");
            let what = format!("storing {} of {}", record.key.full, record.run);
            return Err(Error::new(ErrorKind::TooLarge, what).with_source(why));
        }
        Ok(Self { items })
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn item(&self, part: Part) -> Option<&Item> {
        self.items.iter().find(|item| item.part == part)
    }

    /// The part that is written last.
    pub(crate) fn last(&self) -> Part {
        self.items.last().map_or(Part::Payload, |item| item.part)
    }

    /// Compares what was found of each part.
    ///
    /// Empty certificates and chains are as good as none: Tekton Chains writes them where it has none.
    pub(crate) fn compare(&self, found: &[(Part, Option<Bytes>)]) -> Comparison {
        let mut missing = Vec::new();
        for (part, found) in found {
            match (self.item(*part), found) {
                (Some(_), None) => missing.push(*part),
                (Some(item), Some(found)) if item.content != *found => {
                    return Comparison::Differs;
                }
                (None, Some(found)) if !found.is_empty() => return Comparison::Differs,
                _ => {}
            }
        }
        Comparison::Missing(missing)
    }

    /// Digits that follow from the content of all parts.
    fn digits(&self) -> String {
        let line = |item: &Item| {
            format!("{} {}\n", item.part.extension(), Digest::sha256_of(&item.content).hex())
        };
        let lines: String = self.items.iter().map(line).collect();
        Digest::sha256_of(lines.as_bytes()).hex().chars().take(DIGITS).collect()
    }
}

const fn item(part: Part, content: Bytes, media_type: &'static str) -> Item {
    Item { part, content, media_type }
}

/// Where the sets of one record are: names without the extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    base: String,
}

impl Place {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the run's name or namespace cannot be part of an object's name: the API
    /// server allows no such names, files may have them.
    pub(crate) fn of(prefix: &str, run: &RunRef, key: &RecordKey) -> Result<Self> {
        let folder = format!("{}-{}-{}", run.kind.as_lower(), run.namespace, run.name);
        for part in [&folder, &key.short] {
            if part.is_empty() || part.contains(['/', '\\']) || part.chars().any(char::is_control) {
                return Err(unusable(run, &format!("{part:?} cannot be a part of it")));
            }
        }
        let slash = if prefix.is_empty() { "" } else { "/" };
        let base = format!("{prefix}{slash}{folder}/{}", key.short);
        let longest = base.len() + 1 + DIGITS + Part::Signature.extension().len();
        if longest > LONGEST_NAME {
            return Err(unusable(run, &format!("it would be longer than {LONGEST_NAME} bytes")));
        }
        Ok(Self { base })
    }

    /// Where Tekton Chains has it, and who reads it looks.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Where this set goes when another one is there.
    pub(crate) fn beside(&self, set: &Set) -> String {
        format!("{}-{}", self.base, set.digits())
    }

    /// Of names that begin with the base, those of sets: the base first, then the others in their order.
    pub(crate) fn sets(&self, names: &[String]) -> Vec<String> {
        let stems = names.iter().filter_map(|name| {
            let known = |part: &Part| name.strip_suffix(part.extension());
            Part::ALL.iter().find_map(known).filter(|stem| self.is_set(stem))
        });
        let mut stems: Vec<String> = stems.map(str::to_owned).collect();
        stems.sort();
        stems.dedup();
        stems
    }

    fn is_set(&self, stem: &str) -> bool {
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match stem.strip_prefix(self.base.as_str()) {
            Some("") => true,
            Some(rest) => rest
                .strip_prefix('-')
                .is_some_and(|digits| digits.len() == DIGITS && digits.chars().all(is_digit)),
            None => false,
        }
    }
}

fn unusable(run: &RunRef, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("naming the objects of {run}"))
        .with_source(why.to_owned())
}

#[cfg(test)]
mod tests;
