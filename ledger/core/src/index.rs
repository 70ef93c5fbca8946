//! The idempotency index: transfer or account id to a number, by open addressing.
//!
//! A slot is 16 bytes: a 64-bit fingerprint of the id and the number it stands for. The fingerprint
//! only finds candidates: the caller confirms the full id in the record, so two ids that share a
//! fingerprint are never confused. The table is split into shards that grow one by one, so that no
//! commit waits for millions of ids to be placed anew.

/// The first shard grows when more than 140 of 256 slots are taken, the last at 200: probes stay
/// short, and the shards, which fill evenly, grow one after another instead of in the same commit.
const LOAD_FIRST: usize = 140;
const LOAD_LAST: usize = 200;
const LOAD_OF: usize = 256;
/// Slots of a new shard.
const SLOTS_INITIAL: usize = 1 << 4;
/// Shards, by the top bits of the fingerprint: at 10 million ids one shard grows in about 1 ms.
const SHARD_BITS: u32 = 8;

#[derive(Clone, Copy, Default)]
struct Slot {
    fingerprint: u64,
    /// The number plus one; 0 marks a free slot.
    tagged: u64,
}

/// A map from 128-bit ids to numbers below 2^64 - 1.
pub struct IdIndex {
    shards: Vec<Shard>,
}

struct Shard {
    slots: Vec<Slot>,
    used: usize,
    /// Of 256 slots so many may be taken.
    load_max: usize,
}

/// Mix an id to 64 bits. Ids may be counters or chosen by a caller, so every bit must count.
#[inline]
pub fn fingerprint(id: u128) -> u64 {
    // Truncation is the point: the two halves.
    #[allow(clippy::cast_possible_truncation)]
    let (low, high) = (id as u64, (id >> 64) as u64);
    let mut mixed = low ^ high.rotate_left(32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Default for IdIndex {
    fn default() -> Self {
        Self {
            shards: (0..1 << SHARD_BITS).map(Shard::new).collect(),
        }
    }
}

impl IdIndex {
    /// How many ids are held.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.used).sum()
    }

    /// Whether no id is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Find the number of `id`; `confirm` says whether a candidate number really is that id's.
    #[inline]
    pub fn find(&self, id: u128, confirm: impl FnMut(u64) -> bool) -> Option<u64> {
        let wanted = fingerprint(id);
        self.shards[shard_of(wanted)].find(wanted, confirm)
    }

    /// Read the slot where a search for `id` begins. Done for many ids in a row, the memory
    /// accesses overlap, and the searches that follow find their slots in the cache.
    #[inline]
    pub fn warm(&self, id: u128) -> u64 {
        let wanted = fingerprint(id);
        let slots = &self.shards[shard_of(wanted)].slots;
        slots[slot_of(wanted, slots.len() - 1)].tagged
    }

    /// Add an id that `find` did not find.
    #[inline]
    pub fn insert(&mut self, id: u128, number: u64) {
        assert!(number < u64::MAX, "numbers leave room for the free mark");
        let fingerprint = fingerprint(id);
        self.shards[shard_of(fingerprint)].insert(Slot {
            fingerprint,
            tagged: number + 1,
        });
    }

    /// How many shards there are.
    pub const SHARDS: usize = 1 << SHARD_BITS;

    /// Forget the numbers up to the one given in one shard: a step that takes a moment only.
    pub fn forget(&mut self, shard: usize, upto: u64) {
        self.shards[shard].forget(upto);
    }

    /// Take back an id that was inserted with this number (a linked chain that broke).
    pub fn remove(&mut self, id: u128, number: u64) {
        let fingerprint = fingerprint(id);
        self.shards[shard_of(fingerprint)].remove(Slot {
            fingerprint,
            tagged: number + 1,
        });
    }
}

impl Shard {
    fn new(place: usize) -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS_INITIAL],
            used: 0,
            load_max: LOAD_FIRST + (((LOAD_LAST - LOAD_FIRST) * place) >> SHARD_BITS),
        }
    }

    #[inline]
    fn find(&self, wanted: u64, mut confirm: impl FnMut(u64) -> bool) -> Option<u64> {
        let mask = self.slots.len() - 1;
        let mut at = slot_of(wanted, mask);
        loop {
            let slot = self.slots[at];
            if slot.tagged == 0 {
                return None;
            }
            if slot.fingerprint == wanted && confirm(slot.tagged - 1) {
                return Some(slot.tagged - 1);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn insert(&mut self, new: Slot) {
        if (self.used + 1) * LOAD_OF > self.slots.len() * self.load_max {
            self.grow();
        }
        place(&mut self.slots, new);
        self.used += 1;
    }

    fn remove(&mut self, old: Slot) {
        let mask = self.slots.len() - 1;
        let mut hole = slot_of(old.fingerprint, mask);
        while self.slots[hole].tagged != old.tagged {
            assert!(
                self.slots[hole].tagged != 0,
                "only what was inserted is removed"
            );
            hole = (hole + 1) & mask;
        }
        // Close the gap, so that no probe stops short of an id behind it.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.tagged == 0 {
                break;
            }
            let wanted = slot_of(slot.fingerprint, mask);
            if (at.wrapping_sub(wanted) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = Slot::default();
        self.used -= 1;
    }

    fn forget(&mut self, upto: u64) {
        let is_kept = |slot: &&Slot| slot.tagged > upto + 1;
        let kept = self.slots.iter().filter(is_kept).count();
        let mut length = SLOTS_INITIAL;
        // Room for as many again, so that a shard does not grow right after it was emptied.
        while 2 * kept * LOAD_OF > length * self.load_max {
            length *= 2;
        }
        let mut slots = vec![Slot::default(); length.min(self.slots.len())];
        for slot in self.slots.iter().filter(is_kept) {
            place(&mut slots, *slot);
        }
        self.slots = slots;
        self.used = kept;
    }

    fn grow(&mut self) {
        let mut bigger = vec![Slot::default(); self.slots.len() * 2];
        for slot in self.slots.iter().filter(|slot| slot.tagged != 0) {
            place(&mut bigger, *slot);
        }
        self.slots = bigger;
    }
}

#[inline]
fn shard_of(fingerprint: u64) -> usize {
    usize::try_from(fingerprint >> (u64::BITS - SHARD_BITS)).expect("8 bits fit")
}

#[inline]
fn slot_of(fingerprint: u64, mask: usize) -> usize {
    // Truncation is the point: the low bits choose the slot.
    #[allow(clippy::cast_possible_truncation)]
    let low = fingerprint as usize;
    low & mask
}

#[inline]
fn place(slots: &mut [Slot], new: Slot) {
    let mask = slots.len() - 1;
    let mut at = slot_of(new.fingerprint, mask);
    while slots[at].tagged != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = new;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_after_growth_and_removal_and_never_confused() {
        let mut index = IdIndex::default();
        let ids: Vec<u128> = (1u128..5_000).map(|n| n << (n % 90)).collect();
        let mut present = std::collections::BTreeMap::new();
        for (number, id) in ids.iter().enumerate() {
            let confirm = |candidate: u64| ids[usize::try_from(candidate).unwrap()] == *id;
            if index.find(*id, confirm).is_none() {
                index.insert(*id, number as u64);
                present.insert(*id, number as u64);
            }
        }
        assert_eq!(index.len(), present.len());
        for (id, number) in present
            .clone()
            .iter()
            .filter(|(_, number)| *number % 3 == 0)
        {
            index.remove(*id, *number);
            present.remove(id);
        }
        for id in &ids {
            let confirm = |candidate: u64| ids[usize::try_from(candidate).unwrap()] == *id;
            assert_eq!(index.find(*id, confirm), present.get(id).copied());
        }
        // A candidate that is not confirmed is not an answer.
        assert_eq!(index.find(ids[1], |_| false), None);
    }
}
