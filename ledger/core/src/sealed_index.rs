//! The index of a sealed segment: records by id, postings by account, resolutions, tree nodes.

use std::sync::Arc;

use crate::engine::hold;
use crate::fault::Fault;
use crate::index::fingerprint;
use crate::pages::{BLOCK, BLOCK_U64};
use crate::record::{Kind, Record};
use crate::seal_page::NODE_LEVEL_MIN;
use crate::sealed::{as_len, SealedSegment};
use crate::sha::Hash;
use crate::wire::{u32_at, u64_at, RECORD_SIZE};

/// Entries of a sorted table that are read at once around the place where one is expected.
const WINDOW: u64 = 1_024;
/// Accounts from one entry of the sparse table in memory to the next: one block of the part.
const SPARSE: u64 = 1_024;

impl SealedSegment {
    /// Whether an id may be here.
    #[inline]
    pub fn may_hold(&self, id: u128, fingerprint: u64) -> bool {
        self.filter.may_hold(fingerprint)
            && (self.page.id_least..=self.page.id_greatest).contains(&id)
    }

    /// Bytes of memory that its fingerprints take, or would take.
    pub fn fingerprint_bytes(&self) -> usize {
        8 * self.page.counts.ids as usize
    }

    /// Bring the fingerprints into memory.
    pub fn keep_fingerprints(&self) -> Result<(), Fault> {
        if hold(&self.fingerprints).is_none() {
            let bytes = self.read(self.layout.fingerprints, self.fingerprint_bytes())?;
            let all = bytes.chunks_exact(8).map(|value| u64_at(value, 0));
            *hold(&self.fingerprints) = Some(Arc::new(all.collect()));
        }
        Ok(())
    }

    /// Let the fingerprints go.
    pub fn drop_fingerprints(&self) {
        *hold(&self.fingerprints) = None;
    }

    /// Find the record of a transfer id.
    pub fn find(&self, id: u128) -> Result<Option<Record>, Fault> {
        let wanted = fingerprint(id);
        if !self.may_hold(id, wanted) {
            return Ok(None);
        }
        let count = u64::from(self.page.counts.ids);
        let (mut place, kept) = match hold(&self.fingerprints).clone() {
            Some(kept) => (first_kept(&kept, wanted) as u64, Some(kept)),
            None => (
                self.first_not_below(self.layout.fingerprints, count, wanted)?,
                None,
            ),
        };
        while place < count {
            let found = match &kept {
                Some(kept) => kept[as_len(place)],
                None => self.u64_at(self.layout.fingerprints, place)?,
            };
            if found != wanted {
                break;
            }
            let ordinal = self.u32_at(self.layout.id_ordinals, place)?;
            let record = self.record(self.sequence_of(ordinal)?)?;
            if record.id == id && !matches!(record.kind, Kind::Account | Kind::Expire) {
                return Ok(Some(record));
            }
            place += 1;
        }
        Ok(None)
    }

    /// The sequence of an ordinal that was read.
    fn sequence_of(&self, ordinal: u32) -> Result<u64, Fault> {
        if ordinal < self.page.counts.records {
            Ok(self.first_sequence() + u64::from(ordinal))
        } else {
            Err(self.wrong(0, "the index names a record that is not there"))
        }
    }

    fn u64_at(&self, part: u64, place: u64) -> Result<u64, Fault> {
        Ok(u64_at(&self.read(part + 8 * place, 8)?, 0))
    }

    fn u32_at(&self, part: u64, place: u64) -> Result<u32, Fault> {
        Ok(u32_at(&self.read(part + 4 * place, 4)?, 0))
    }

    /// The first place of a sorted part of evenly spread u64s whose value is not below the wanted.
    fn first_not_below(&self, part: u64, count: u64, wanted: u64) -> Result<u64, Fault> {
        let expected = (u128::from(wanted) * u128::from(count)) >> 64;
        let expected = u64::try_from(expected).expect("below the count");
        let start = expected.saturating_sub(WINDOW / 2);
        let end = count.min(start + WINDOW);
        let bytes = self.read(part + 8 * start, 8 * as_len(end - start))?;
        let values: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|value| u64_at(value, 0))
            .collect();
        let place = values.partition_point(|value| *value < wanted) as u64;
        let is_inside = (place > 0 || start == 0) && (start + place < end || end == count);
        if is_inside {
            return Ok(start + place);
        }
        bisect(count, |place| Ok(self.u64_at(part, place)? < wanted))
    }

    /// The reservations that records here resolve, by their sequences.
    pub fn resolved(&self) -> Result<Vec<u64>, Fault> {
        let length = 8 * self.page.counts.resolutions as usize;
        let bytes = self.read(self.layout.resolved, length)?;
        Ok(bytes
            .chunks_exact(8)
            .map(|value| u64_at(value, 0))
            .collect())
    }

    /// Where the index starts behind the records.
    pub fn index_offset(&self) -> u64 {
        self.layout.filter
    }

    /// Check the blocks of the index.
    pub fn check_index(&self) -> Result<(), Fault> {
        for block in self.index_offset() / BLOCK_U64..=self.checksums().len() as u64 {
            self.read(block * BLOCK_U64, BLOCK)?;
        }
        Ok(())
    }

    /// Find the record that resolved a reservation.
    pub fn resolution(&self, pending: u64) -> Result<Option<Record>, Fault> {
        let count = u64::from(self.page.counts.resolutions);
        let part = self.layout.resolved;
        let place = bisect(count, |place| Ok(self.u64_at(part, place)? < pending))?;
        if place == count || self.u64_at(part, place)? != pending {
            return Ok(None);
        }
        let ordinal = self.u32_at(self.layout.resolving, place)?;
        Ok(Some(self.record(self.sequence_of(ordinal)?)?))
    }

    /// Where in the part of all postings an account's stand.
    fn postings_of(&self, account: u32) -> Result<(u64, u64), Fault> {
        let count = u64::from(self.page.counts.accounts);
        let sparse = self.sparse()?;
        let run = sparse.partition_point(|first| *first <= account) as u64;
        if run == 0 {
            return Ok((0, 0));
        }
        let start = SPARSE * (run - 1);
        let end = count.min(start + SPARSE);
        let bytes = self.read(self.layout.accounts + 4 * start, 4 * as_len(end - start))?;
        let numbers: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|number| u32_at(number, 0))
            .collect();
        let Ok(place) = numbers.binary_search(&account) else {
            return Ok((0, 0));
        };
        let place = start + place as u64;
        let ends = self.layout.posting_ends;
        let from = if place == 0 {
            0
        } else {
            self.u32_at(ends, place - 1)?
        };
        let to = self.u32_at(ends, place)?;
        if from < to && to <= self.page.counts.postings {
            Ok((from.into(), to.into()))
        } else {
            Err(self.wrong(ends, "the index of postings contradicts itself"))
        }
    }

    fn sparse(&self) -> Result<&[u32], Fault> {
        if let Some(sparse) = self.sparse.get() {
            return Ok(sparse);
        }
        let mut sparse = Vec::new();
        for place in (0..u64::from(self.page.counts.accounts)).step_by(as_len(SPARSE)) {
            sparse.push(self.u32_at(self.layout.accounts, place)?);
        }
        Ok(self.sparse.get_or_init(|| sparse))
    }

    /// The sequences of an account's postings within `[from, before)`, oldest first: at most
    /// `limit` of them, the newest ones when `newest` says so.
    pub fn postings(
        &self,
        account: u32,
        (from, before): (u64, u64),
        limit: usize,
        newest: bool,
    ) -> Result<Vec<u64>, Fault> {
        let (start, end) = self.postings_of(account)?;
        let below = |sequence: u64| -> Result<u64, Fault> {
            let Some(ordinal) = sequence.checked_sub(self.first_sequence()) else {
                return Ok(start);
            };
            if sequence > self.last_sequence() {
                return Ok(end);
            }
            let passed = bisect(end - start, |place| {
                let found = self.u32_at(self.layout.postings, start + place)?;
                Ok(u64::from(found) < ordinal)
            })?;
            Ok(start + passed)
        };
        let (mut low, mut high) = (below(from)?, below(before)?);
        if high - low.min(high) > limit as u64 {
            if newest {
                low = high - limit as u64;
            } else {
                high = low + limit as u64;
            }
        }
        let length = as_len(high.saturating_sub(low));
        let bytes = self.read(self.layout.postings + 4 * low, 4 * length)?;
        let ordinals = bytes.chunks_exact(4).map(|ordinal| u32_at(ordinal, 0));
        ordinals.map(|ordinal| self.sequence_of(ordinal)).collect()
    }

    /// The first sequence here whose timestamp is not below the one given; the one after the last
    /// where there is none.
    pub fn first_at(&self, timestamp: u64) -> Result<u64, Fault> {
        if timestamp <= self.page.timestamp_first {
            return Ok(self.first_sequence());
        }
        if timestamp > self.page.timestamp_last {
            return Ok(self.last_sequence() + 1);
        }
        let count = u64::from(self.page.counts.records);
        let place = bisect(count, |place| {
            let offset = self.layout.records + RECORD_SIZE as u64 * place + 8;
            Ok(u64_at(&self.read(offset, 8)?, 0) < timestamp)
        })?;
        Ok(self.first_sequence() + place)
    }

    /// The root of the subtree of `2^level` leaves that became complete here, by its place on its
    /// level over the whole ledger.
    pub fn node(&self, level: u32, place: u64) -> Result<Hash, Fault> {
        assert!(
            level >= NODE_LEVEL_MIN,
            "smaller subtrees are hashed from their leaves"
        );
        let before = (self.first_sequence() - 1) >> level;
        let index = u64::from(self.page.nodes_below(level)) + (place - before);
        let bytes = self.read(self.layout.nodes + 32 * index, 32)?;
        Ok(bytes[..].try_into().expect("32 bytes"))
    }
}

/// The first place, of `count`, that a test does not pass which all before it pass.
fn bisect(count: u64, mut passes: impl FnMut(u64) -> Result<bool, Fault>) -> Result<u64, Fault> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = u64::midpoint(low, high);
        if passes(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The first place whose value is not below the wanted, in sorted and evenly spread values: a guess,
/// mended twice, stands a few steps from it, so that few cache lines are touched.
fn first_kept(values: &[u64], wanted: u64) -> usize {
    let count = values.len() as u128;
    let steps = |distance: u64| {
        usize::try_from((u128::from(distance) * count) >> 64).expect("below the count")
    };
    let mut guess = steps(wanted);
    for _ in 0..2 {
        let Some(found) = values.get(guess) else {
            break;
        };
        guess = if *found < wanted {
            (guess + steps(wanted - found)).min(values.len() - 1)
        } else {
            guess.saturating_sub(steps(found - wanted))
        };
    }
    let (mut low, mut high) = (0, values.len());
    let mut reach = 8;
    if values.get(guess).is_some_and(|found| *found < wanted) {
        low = guess;
        while low + reach < values.len() && values[low + reach] < wanted {
            low += reach;
            reach *= 2;
        }
        high = high.min(low + reach);
    } else {
        high = guess.min(values.len());
        while high >= reach && values[high - reach] >= wanted {
            high -= reach;
            reach *= 2;
        }
        low = low.max(high.saturating_sub(reach));
    }
    low + values[low..high].partition_point(|found| *found < wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guessed_place_is_that_of_a_plain_search_whatever_the_values() {
        let even: Vec<u64> = (0..5_000u128).map(fingerprint).collect();
        let low: Vec<u64> = (0..300).map(|value| value / 3).collect();
        let high: Vec<u64> = (0..300).map(|value| u64::MAX - value / 3).collect();
        for mut values in [even, low, high, vec![], vec![7], vec![u64::MAX; 40]] {
            values.sort_unstable();
            let around = values.clone().into_iter();
            let near = around.flat_map(|value| [value.saturating_sub(1), value]);
            for wanted in near.chain([0, 7, 8, 1 << 63, u64::MAX]) {
                let plain = values.partition_point(|found| *found < wanted);
                assert_eq!(first_kept(&values, wanted), plain, "{wanted}");
            }
        }
    }
}
