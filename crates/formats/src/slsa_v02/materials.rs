//! `materials` of SLSA v0.2: what speaks of the same thing is merged.

use std::collections::HashMap;

use chains_core::{Result, RunKind};
use chains_tekton::Run;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::materials::{self, Material};
use crate::uri::Uri;

/// Materials, each once: two with the same URI and a digest in common are one, with the digests of both.
#[derive(Debug, Default)]
pub(crate) struct Merged<'a> {
    entries: Vec<Entry<'a>>,
    /// Where a URI with a digest is.
    index: HashMap<(Uri<'a>, &'a str, &'a str), usize>,
}

#[derive(Debug)]
struct Entry<'a> {
    uri: Uri<'a>,
    digest: Vec<(&'a str, &'a str)>,
}

impl<'a> Merged<'a> {
    /// The materials of a run.
    pub(crate) fn of(run: &'a Run, deep_inspection: bool) -> Result<Self> {
        let mut merged = Self::default();
        match run.kind() {
            RunKind::TaskRun => {
                materials::images(run, &mut |material| merged.add(material))?;
                materials::of_task(run, &mut |material| merged.add(material));
            }
            RunKind::PipelineRun => {
                run.provenance().ref_source().into_iter().for_each(|source| {
                    merged.add(materials::ref_source(source));
                });
                for task in run.executed_tasks() {
                    materials::images(task, &mut |material| merged.add(material))?;
                    task.provenance().ref_source().into_iter().for_each(|source| {
                        merged.add(materials::ref_source(source));
                    });
                }
                materials::of_pipeline(run, deep_inspection, &mut |material| merged.add(material));
            }
        }
        Ok(merged)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn add(&mut self, material: Material<'a>) {
        let uri = material.uri;
        let known = material
            .digest
            .iter()
            .filter_map(|(algorithm, hex)| self.index.get(&(uri, algorithm, hex)).copied())
            .min();
        let at = known.unwrap_or_else(|| {
            self.entries.push(Entry { uri, digest: Vec::new() });
            self.entries.len() - 1
        });
        let Some(entry) = self.entries.get_mut(at) else { return };
        for (algorithm, hex) in material.digest.iter() {
            match entry.digest.binary_search_by(|(known, _)| known.cmp(&algorithm)) {
                Ok(known) => {
                    if let Some(slot) = entry.digest.get_mut(known) {
                        let (_, old) = std::mem::replace(slot, (algorithm, hex));
                        self.index.remove(&(uri, algorithm, old));
                    }
                }
                Err(place) => entry.digest.insert(place, (algorithm, hex)),
            }
            self.index.entry((uri, algorithm, hex)).or_insert(at);
        }
    }
}

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.entries.len()))?;
        for entry in &self.entries {
            list.serialize_element(entry)?;
        }
        list.end()
    }
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.uri.is_empty() {
            map.serialize_entry("uri", &self.uri)?;
        }
        if !self.digest.is_empty() {
            map.serialize_entry("digest", &DigestMap(&self.digest))?;
        }
        map.end()
    }
}

struct DigestMap<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for DigestMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
