//! Signers, stores and logs that are in use, so that another engine made of the same inputs gets the same ones.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chains_core::Result;

/// What engines share: a signer with its connections, logins and certificate, a store, a log, a root of trust.
///
/// A change of the configuration makes another engine. What it says of a signer is often as before, and the
/// signer is then the same one: it need not log in again, nor ask for another certificate. What no engine uses
/// any more is gone.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<Entry>>>);

/// Something by what it is made of, for as long as somebody has it.
struct Entry {
    inputs: Box<dyn Any + Send>,
    made: Weak<dyn Any + Send + Sync>,
}

impl Kept {
    /// The `T` made of these inputs, or a new one. Inputs are told apart by their type, too.
    ///
    /// # Errors
    /// Those of `make`.
    #[cfg_attr(
        not(any(
            feature = "archivista",
            feature = "azblob",
            feature = "docdb",
            feature = "gcs",
            feature = "grafeas",
            feature = "kms",
            feature = "pubsub",
            feature = "s3",
            feature = "transparency"
        )),
        allow(dead_code, reason = "nothing that is kept is built in")
    )]
    pub(crate) fn get_or_make<K, T>(
        &self,
        inputs: K,
        make: impl FnOnce(&K) -> Result<T>,
    ) -> Result<Arc<T>>
    where
        K: PartialEq + Send + 'static,
        T: Send + Sync + 'static,
    {
        if let Some(found) = self.entries().iter().find_map(|entry| entry.get(&inputs)) {
            return Ok(found);
        }
        // Not under the lock: what is made may be made of something else that is kept.
        let made = Arc::new(make(&inputs)?);
        let mut entries = self.entries();
        // Somebody else may have been as quick.
        if let Some(found) = entries.iter().find_map(|entry| entry.get(&inputs)) {
            return Ok(found);
        }
        let weak: Weak<T> = Arc::downgrade(&made);
        entries.push(Entry { inputs: Box::new(inputs), made: weak });
        Ok(made)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.made.strong_count() > 0);
        entries
    }
}

impl Entry {
    fn get<K: PartialEq + 'static, T: Send + Sync + 'static>(&self, inputs: &K) -> Option<Arc<T>> {
        let same = self.inputs.downcast_ref() == Some(inputs);
        self.made.upgrade().filter(|_| same)?.downcast().ok()
    }
}

/// The inputs may be secrets.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_had_again() {
        let kept = Kept::default();
        let get = |inputs: u8| kept.get_or_make(inputs, |inputs| Ok(*inputs)).expect("made");
        let one = get(1);
        assert!(Arc::ptr_eq(&one, &get(1)));
        assert!(!Arc::ptr_eq(&one, &get(2)));
        let weak = Arc::downgrade(&one);
        drop(one);
        assert!(weak.upgrade().is_none(), "nobody uses it");
        assert_eq!(*get(1), 1);
    }

    #[test]
    fn other_things_of_the_same_inputs_are_told_apart() {
        let kept = Kept::default();
        let number = kept.get_or_make(1_u8, |inputs| Ok(*inputs)).expect("made");
        let text = kept.get_or_make(1_u8, |inputs| Ok(inputs.to_string())).expect("made");
        assert_eq!((*number, text.as_str()), (1, "1"));
        let other = kept.get_or_make(1_i8, |_| Ok(7_u8)).expect("made");
        assert_eq!(*other, 7);
    }

    #[test]
    fn what_is_made_may_be_made_of_what_is_kept() {
        let kept = Kept::default();
        let inner = |inputs: u8| kept.get_or_make(inputs, |_| Ok("inner".to_owned()));
        let outer = kept.get_or_make("outer", |_| inner(1)).expect("made");
        assert!(Arc::ptr_eq(&*outer, &inner(1).expect("made")));
    }
}
