//! Remembers what was sent a while ago, since a queue cannot be asked, and lets the same message be sent by one
//! caller at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

use crate::message::Fingerprint;

/// How many messages are remembered.
const MOST: usize = 4096;

/// The messages of a while ago.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    locations: HashMap<Fingerprint, String>,
    /// Oldest first.
    order: VecDeque<Fingerprint>,
    /// Of those that are being sent.
    turns: HashMap<Fingerprint, Arc<Lock<()>>>,
}

impl Recent {
    /// Waits until nobody else sends this message.
    pub(crate) async fn turn(&self, message: Fingerprint) -> Turn {
        let lock = Arc::clone(self.state().turns.entry(message).or_default());
        let mut turn =
            Turn { recent: self.clone(), message, lock: Some(Arc::clone(&lock)), held: None };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing within can fail halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While this lives, nobody else sends the message.
#[derive(Debug)]
pub(crate) struct Turn {
    recent: Recent,
    message: Fingerprint,
    lock: Option<Arc<Lock<()>>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// Where the message is, if it was sent a while ago.
    pub(crate) fn location(&self) -> Option<String> {
        self.recent.state().locations.get(&self.message).cloned()
    }

    /// It is sent.
    pub(crate) fn sent(&self, location: &str) {
        let mut state = self.recent.state();
        if state.locations.insert(self.message, location.to_owned()).is_none() {
            state.order.push_back(self.message);
        }
        while state.order.len() > MOST {
            if let Some(oldest) = state.order.pop_front() {
                state.locations.remove(&oldest);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut state = self.recent.state();
        self.lock = None;
        // Whoever waits holds a share; under the state's lock nobody can take one.
        let alone = |lock: &Arc<Lock<()>>| Arc::strong_count(lock) == 1;
        if state.turns.get(&self.message).is_some_and(alone) {
            state.turns.remove(&self.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_sent_is_known_until_so_many_others_are() {
        let recent = Recent::default();
        for number in 0..=MOST {
            let mut message = [0; 32];
            message[..8].copy_from_slice(&number.to_be_bytes());
            let turn = recent.turn(message).await;
            assert_eq!(turn.location(), None);
            turn.sent("there");
            assert_eq!(turn.location().as_deref(), Some("there"));
        }
        assert_eq!(recent.turn([0; 32]).await.location(), None, "the oldest is forgotten");
        let state = recent.state();
        assert_eq!((state.locations.len(), state.order.len()), (MOST, MOST));
        assert!(state.turns.is_empty(), "nobody sends");
    }

    #[tokio::test]
    async fn those_who_wait_take_turns_and_leave_nothing() {
        let recent = Recent::default();
        let first = recent.turn([1; 32]).await;
        recent.turn([2; 32]).await;
        let (other, another) = (recent.clone(), recent.clone());
        let waiting = tokio::spawn(async move { other.turn([1; 32]).await.location() });
        let gone = tokio::spawn(async move { another.turn([1; 32]).await.location() });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.is_err());
        first.sent("there");
        drop(first);
        assert_eq!(waiting.await.unwrap().as_deref(), Some("there"));
        assert!(recent.state().turns.is_empty());
    }
}
