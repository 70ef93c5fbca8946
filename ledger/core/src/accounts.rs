//! Accounts in memory: dense numbers from 1 in the order of creation, 64-bit sums.

use crate::index::IdIndex;
use crate::postings::Tail;
use crate::wire::{account_flags, WireAccount};

/// What a transfer reads and changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Reserved debits.
    pub debits_pending: u64,
    /// Moved debits.
    pub debits_posted: u64,
    /// Reserved credits.
    pub credits_pending: u64,
    /// Moved credits.
    pub credits_posted: u64,
    /// Which book.
    pub ledger: u32,
    /// Kind of account.
    pub code: u16,
    /// See `wire::account_flags`.
    pub flags: u16,
}

/// Everything that a transfer needs of an account, in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Hot {
    id: u128,
    balances: Balances,
    tail: Tail,
}

const _: () = assert!(std::mem::size_of::<Balances>() == 40);
const _: () = assert!(std::mem::size_of::<Hot>() == 64);

/// What only lookups read.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The caller's own.
    pub user_data_128: u128,
    /// The caller's own.
    pub user_data_64: u64,
    /// Nanoseconds UTC of the creation.
    pub timestamp: u64,
    /// The record that created it.
    pub sequence: u64,
    /// The caller's own.
    pub user_data_32: u32,
}

impl Balances {
    /// Posted credits minus posted debits.
    #[inline]
    pub fn net(&self) -> i64 {
        let credits = i64::try_from(self.credits_posted).expect("sums stay within 2^63-1");
        let debits = i64::try_from(self.debits_posted).expect("sums stay within 2^63-1");
        credits - debits
    }

    /// Whether `amount` more debits would exceed the credits that a limited account has.
    #[inline]
    pub fn debits_exceed_credits(&self, amount: u64) -> bool {
        self.flags & account_flags::DEBITS_MUST_NOT_EXCEED_CREDITS != 0
            && u128::from(self.debits_pending) + u128::from(self.debits_posted) + u128::from(amount)
                > u128::from(self.credits_posted)
    }

    /// Whether `amount` more credits would exceed the debits that a limited account has.
    #[inline]
    pub fn credits_exceed_debits(&self, amount: u64) -> bool {
        self.flags & account_flags::CREDITS_MUST_NOT_EXCEED_DEBITS != 0
            && u128::from(self.credits_pending)
                + u128::from(self.credits_posted)
                + u128::from(amount)
                > u128::from(self.debits_posted)
    }

    /// Whether the account takes nothing but voids.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.flags & account_flags::CLOSED != 0
    }
}

/// All accounts.
#[derive(Default)]
pub struct Accounts {
    hot: Vec<Hot>,
    identities: Vec<Identity>,
    index: IdIndex,
}

impl Accounts {
    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    /// The number of the newest account, 0 when there is none.
    pub fn last(&self) -> u32 {
        u32::try_from(self.hot.len()).expect("fewer than 2^32 accounts")
    }

    /// The dense number of an id.
    #[inline]
    pub fn number(&self, id: u128) -> Option<u32> {
        let confirm = |place: u64| self.hot[as_index(place)].id == id;
        let place = self.index.find(id, confirm)?;
        Some(u32::try_from(place + 1).expect("fewer than 2^32 accounts"))
    }

    /// The caller's id of an account.
    #[inline]
    pub fn id(&self, number: u32) -> u128 {
        self.hot[number as usize - 1].id
    }

    /// The balances of an account.
    #[inline]
    pub fn balances(&self, number: u32) -> &Balances {
        &self.hot[number as usize - 1].balances
    }

    /// The balances of an account, to be changed.
    #[inline]
    pub fn balances_mut(&mut self, number: u32) -> &mut Balances {
        &mut self.hot[number as usize - 1].balances
    }

    /// The balances of every account, in the order of creation.
    pub fn all_balances(&self) -> impl Iterator<Item = &Balances> + Clone {
        self.hot.iter().map(|hot| &hot.balances)
    }

    /// The newest posting of an account.
    pub fn tail(&self, number: u32) -> Tail {
        self.hot[number as usize - 1].tail
    }

    /// The newest postings of two accounts, to be changed.
    #[inline]
    pub fn tails_mut(&mut self, debit: u32, credit: u32) -> [&mut Tail; 2] {
        let places = [debit as usize - 1, credit as usize - 1];
        let hot = self
            .hot
            .get_disjoint_mut(places)
            .expect("two different accounts");
        hot.map(|hot| &mut hot.tail)
    }

    /// The rest of an account.
    #[inline]
    pub fn identity(&self, number: u32) -> &Identity {
        &self.identities[number as usize - 1]
    }

    /// Add an account and give its number.
    pub fn add(&mut self, id: u128, balances: Balances, identity: Identity) -> u32 {
        self.index.insert(id, self.hot.len() as u64);
        self.hot.push(Hot {
            id,
            balances,
            tail: Tail::default(),
        });
        self.identities.push(identity);
        self.last()
    }

    /// Take back the newest account (its chain broke).
    pub fn remove_last(&mut self) {
        let hot = self.hot.pop().expect("only what was added is removed");
        self.identities.pop();
        self.index.remove(hot.id, self.hot.len() as u64);
    }

    /// The account as the caller reads it, with these balances.
    pub fn wire(&self, number: u32, balances: &Balances) -> WireAccount {
        WireAccount::of(self.id(number), balances, self.identity(number))
    }
}

impl WireAccount {
    /// An account as the caller reads it.
    pub fn of(id: u128, balances: &Balances, identity: &Identity) -> Self {
        Self {
            id,
            debits_pending: u128::from(balances.debits_pending),
            debits_posted: u128::from(balances.debits_posted),
            credits_pending: u128::from(balances.credits_pending),
            credits_posted: u128::from(balances.credits_posted),
            user_data_128: identity.user_data_128,
            user_data_64: identity.user_data_64,
            user_data_32: identity.user_data_32,
            reserved: 0,
            ledger: balances.ledger,
            code: balances.code,
            flags: balances.flags,
            timestamp: identity.timestamp,
        }
    }
}

fn as_index(place: u64) -> usize {
    usize::try_from(place).expect("a 64-bit machine")
}
