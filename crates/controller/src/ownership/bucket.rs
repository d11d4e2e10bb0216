//! Buckets: the parts that runs are divided into, and sets of them.

use std::fmt;

/// The most buckets that there may be: each is a Lease of its own.
pub(crate) const MOST_BUCKETS: u16 = 1024;

const WORD: usize = u64::BITS as usize;

/// One part of all runs. Who holds it works on its runs, and nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Bucket(u16);

impl Bucket {
    /// The bucket with this number, counted from zero.
    #[must_use]
    pub(crate) const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The bucket of a run, where there are `total`.
    ///
    /// Replicas of several releases work side by side while one takes the other's place, so that this function
    /// must never change: 64-bit [FNV-1a](https://datatracker.ietf.org/doc/html/rfc9923) over the UID, its halves
    /// folded by exclusive or, modulo `total`. A `total` of zero counts as one.
    ///
    /// ```ignore
    /// assert_eq!(Bucket::of("5b6f0d3e-8f0e-4a8c-9c53-0e6f1f6f4f10", 1), Bucket::new(0));
    /// ```
    #[must_use]
    pub(crate) fn of(uid: &str, total: u16) -> Self {
        let hash = fnv1a(uid.as_bytes());
        // The low bits of FNV depend on the low bits of the input alone: folded, every bit counts.
        let folded = (hash ^ (hash >> 32)) & u64::from(u32::MAX);
        let reduced = folded % u64::from(total.max(1));
        Self(u16::try_from(reduced).unwrap_or(0))
    }

    /// The number, counted from zero.
    #[must_use]
    pub(crate) const fn index(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 64-bit FNV-1a.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// A set of buckets: a bit each, so that asking and copying cost next to nothing.
#[derive(Clone, Default)]
pub(crate) struct Buckets {
    words: Vec<u64>,
}

impl Buckets {
    /// All buckets where there are `total`.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn all(total: u16) -> Self {
        (0..total).map(Bucket).collect()
    }

    /// Whether the set holds `bucket`.
    #[must_use]
    pub(crate) fn contains(&self, bucket: Bucket) -> bool {
        let (word, bit) = place(bucket);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Adds a bucket.
    pub(crate) fn insert(&mut self, bucket: Bucket) {
        let (word, bit) = place(bucket);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= bit;
        }
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub(crate) fn without(&self, other: &Self) -> Self {
        let of_other = other.words.iter().copied().chain(std::iter::repeat(0));
        Self {
            words: self.words.iter().zip(of_other).map(|(mine, theirs)| mine & !theirs).collect(),
        }
    }

    /// The buckets, lowest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let bits =
            (0..self.words.len() * WORD).map(|index| u16::try_from(index).unwrap_or(u16::MAX));
        bits.map(Bucket).filter(|bucket| self.contains(*bucket))
    }

    /// How many.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|bits| *bits == 0)
    }
}

fn place(bucket: Bucket) -> (usize, u64) {
    let index = usize::from(bucket.0);
    (index / WORD, 1 << (index % WORD))
}

impl PartialEq for Buckets {
    fn eq(&self, other: &Self) -> bool {
        // A set that once held a high bucket is longer, and none the different for it.
        self.without(other).is_empty() && other.without(self).is_empty()
    }
}

impl Eq for Buckets {}

impl FromIterator<Bucket> for Buckets {
    fn from_iter<I: IntoIterator<Item = Bucket>>(buckets: I) -> Self {
        let mut set = Self::default();
        set.extend(buckets);
        set
    }
}

impl Extend<Bucket> for Buckets {
    fn extend<I: IntoIterator<Item = Bucket>>(&mut self, buckets: I) {
        buckets.into_iter().for_each(|bucket| self.insert(bucket));
    }
}

/// As people write it: `0-3,7`; `none` where it is empty.
impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for Bucket(index) in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == index => *last = index,
                _ => ranges.push((index, index)),
            }
        }
        if ranges.is_empty() {
            return f.write_str("none");
        }
        for (place, (first, last)) in ranges.into_iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buckets({self})")
    }
}
