//! Tells health and metrics how ownership stands.

use crate::ownership::{Condition, Move, Observer};
use crate::telemetry::{Metrics, Part};

#[derive(Debug)]
pub(super) struct Ownership {
    part: Part,
    metrics: Metrics,
}

impl Ownership {
    pub(super) const fn new(part: Part, metrics: Metrics) -> Self {
        Self { part, metrics }
    }
}

impl Observer for Ownership {
    fn condition(&self, condition: Condition) {
        match condition {
            Condition::Ready(detail) => self.part.ok(detail),
            Condition::Waiting(why) => self.part.waiting(why),
            Condition::Faulty(why) => self.part.faulty(why),
        }
    }

    fn moved(&self, _: Move, _: usize, held: usize) {
        self.metrics.buckets_held(held);
    }
}
