//! What was sealed leaves the memory: ids, posting lists and resolved reservations, in steps that
//! each take a moment, so that no commit waits for all of them.
//!
//! Source: docs/reference/ledger-format.md, section 9.

use std::sync::Arc;

use crate::cold::Cold;
use crate::index::IdIndex;
use crate::postings::Links;
use crate::state::{PendingStatus, State};

/// Accounts whose marks are looked through in one step.
const ACCOUNTS_A_STEP: usize = 1_024;
/// Resolved reservations that are forgotten in one step.
const RESOLVED_A_STEP: usize = 4_096;

impl State {
    /// Take over what is cold now: from here on it is found there. The links that are given back
    /// are no longer needed.
    pub fn begin_cooling(&mut self, cold: Arc<Cold>) -> Vec<Links> {
        let end = cold.end();
        self.cold = cold;
        self.postings.forget(end)
    }

    /// Do one step of forgetting what is cold up to a sequence; false when all were done.
    pub fn cool_step(&mut self, step: usize, end: u64, resolved: &[u64]) -> bool {
        if step < IdIndex::SHARDS {
            self.ids.forget(step, end);
            return true;
        }
        let step = step - IdIndex::SHARDS;
        let start = RESOLVED_A_STEP * step;
        let mut is_done = true;
        if let Some(part) = resolved.get(start..) {
            for sequence in &part[..part.len().min(RESOLVED_A_STEP)] {
                let found = self.pendings.get(sequence);
                assert!(
                    found.is_none_or(|found| found.status != PendingStatus::Open),
                    "a cold record resolved it"
                );
                self.pendings.remove(sequence);
            }
            is_done = part.is_empty();
        }
        let start = ACCOUNTS_A_STEP * step;
        let forgot = self.postings.forget_marks(start..start + ACCOUNTS_A_STEP);
        forgot || !is_done
    }
}
