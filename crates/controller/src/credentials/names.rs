//! The names in a list of references, and no more of them than are read.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::reader::MOST_SECRETS;

/// One more than are read, so that it shows that there are more.
const MOST: usize = MOST_SECRETS + 1;

/// Names that are not empty, each once, in their order.
#[derive(Debug, Default)]
pub(super) struct Names(pub(super) Vec<String>);

#[derive(Deserialize)]
struct Reference {
    name: Option<String>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct References;

        impl<'de> Visitor<'de> for References {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of references")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                // All are looked at, since the rest of the document comes after them; few are kept.
                while let Some(reference) = list.next_element::<Reference>()? {
                    let name = reference.name.unwrap_or_default();
                    if names.len() < MOST && !name.is_empty() && !names.contains(&name) {
                        names.push(name);
                    }
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_seq(References)
    }
}
