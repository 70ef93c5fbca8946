"""A slow ledger that is obviously right: no index, no running balance, one list of facts.

Every balance is a sum over all facts, every rule one line of a generator in its order. It predicts
statuses, timestamps and entries of any engine (docs/reference/transfer.md, ledger-format.md 7).
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace

from ledger.statuses import TRANSIENT_STATUSES
from ledger.statuses import CreateAccountStatus as A
from ledger.statuses import CreateTransferStatus as T
from ledger.structures import (
    AMOUNT_ALL,
    AMOUNT_MAX,
    ID_MAX,
    Account,
    AccountFlags,
    Transfer,
    TransferFlags,
)

F = TransferFlags
RESOLVING = F.POST_PENDING_TRANSFER | F.VOID_PENDING_TRANSFER
CLOSING = F.CLOSING_DEBIT | F.CLOSING_CREDIT
BALANCING = F.BALANCING_DEBIT | F.BALANCING_CREDIT
Requests = Sequence[Sequence[Transfer]]
SECOND = 1_000_000_000
EXPIRIES_MAX = 1_024


@dataclass(frozen=True)
class Fact:
    """A thing that happened: a transfer as stored, a refusal, or an expiry (id 0)."""

    transfer: Transfer
    status: T = T.CREATED

    @property
    def stands(self) -> bool:
        return self.status is T.CREATED


class Oracle:
    """Accounts in order of creation and the list of facts."""

    def __init__(self) -> None:
        self.created: list[Account] = []
        self.facts: list[Fact] = []
        self.last = 0

    def copy(self) -> "Oracle":
        other = copy(self)
        other.created, other.facts = list(self.created), list(self.facts)
        return other

    def restarted(self) -> "Oracle":
        """Give the oracle after a restart: time goes on from the last record."""
        other = self.copy()
        times = [*(a.timestamp for a in self.created), *(f.transfer.timestamp for f in self.facts)]
        other.last = max(times, default=0)
        return other

    def account(self, account_id: int) -> Account | None:
        """Give an account with its balances summed up, and closed or not."""
        for account in self.created:
            if account.id == account_id:
                return self._summed(account)
        return None

    def accounts(self) -> list[Account]:
        return [self._summed(account) for account in self.created]

    def create_accounts(self, events: Sequence[Account], now: int) -> list[tuple[int, A]]:
        self._expire(now, len(events))

        def one(event: Account, time: int) -> tuple[int, A]:
            status = next((s for s, broken in account_rules(self, event) if broken), A.CREATED)
            if status is A.CREATED:
                self.created.append(replace(event, timestamp=time))
                return time, status
            known = self.account(event.id)
            return (known.timestamp if known and status is A.EXISTS else 0), status

        def chained(status: A, _time: int) -> tuple[int, A]:
            return 0, status

        names = (A.CREATED, A.LINKED_EVENT_FAILED, A.LINKED_EVENT_CHAIN_OPEN)
        return self._run(events, now, one, chained, names)

    def create_transfers(self, events: Sequence[Transfer], now: int) -> list[tuple[int, T]]:
        return self.create_group([events], now)[0]

    def create_group(self, requests: Requests, now: int) -> list[list[tuple[int, T]]]:
        """Give the answers of requests that commit together: what expires does so before them."""
        self._expire(now, sum(map(len, requests)))

        def one(event: Transfer, time: int) -> tuple[int, T]:
            status = next((s for s, broken in rules(self, event, time) if broken), T.CREATED)
            if status is T.CREATED:
                self.facts.append(Fact(self._stored(event, time)))
            known = self.find(event.id)
            return (known.timestamp if known and status is T.EXISTS else time), status

        def chained(status: T, time: int) -> tuple[int, T]:
            return time, status

        names = (T.CREATED, T.LINKED_EVENT_FAILED, T.LINKED_EVENT_CHAIN_OPEN)
        return [self._run(events, now, one, chained, names) for events in requests]

    def find(self, transfer_id: int) -> Transfer | None:
        """Give a transfer that stands; an expiry (id 0) is nobody's transfer."""
        made = (f.transfer for f in self.facts if f.stands and f.transfer.id == transfer_id != 0)
        return next(made, None)

    def refused(self, transfer_id: int) -> bool:
        return any(f.transfer.id == transfer_id and not f.stands for f in self.facts)

    def ending(self, pending: Transfer) -> Transfer | None:
        """Give what posted, voided or expired a pending transfer."""
        ends = (f.transfer for f in self.facts if f.stands and f.transfer.pending_id == pending.id)
        return next(ends, None)

    def amount(self, event: Transfer) -> int:
        """Give what an event would move: balancing and "all" resolved."""
        amount = event.amount
        pending = self.find(event.pending_id)
        if event.flags & F.POST_PENDING_TRANSFER and pending:
            return pending.amount if amount == AMOUNT_ALL else amount
        if event.flags & F.VOID_PENDING_TRANSFER and pending:
            return pending.amount if amount == 0 else amount
        debit, credit = self.account(event.debit_account_id), self.account(event.credit_account_id)
        assert debit
        assert credit
        if event.flags & F.BALANCING_DEBIT:
            left = debit.credits_posted - debit.debits_posted - debit.debits_pending
            amount = min(amount, max(left, 0))
        if event.flags & F.BALANCING_CREDIT:
            left = credit.debits_posted - credit.credits_posted - credit.credits_pending
            amount = min(amount, max(left, 0))
        return amount

    def _summed(self, account: Account) -> Account:
        sums = dict.fromkeys(
            ("debits_pending", "debits_posted", "credits_pending", "credits_posted"), 0
        )
        closed = bool(account.flags & AccountFlags.CLOSED)
        for transfer in (f.transfer for f in self.facts if f.stands):
            for side, other, closing in (
                ("debits", transfer.debit_account_id, F.CLOSING_DEBIT),
                ("credits", transfer.credit_account_id, F.CLOSING_CREDIT),
            ):
                if other != account.id or transfer.flags & F.VOID_PENDING_TRANSFER:
                    continue
                if not transfer.flags & F.PENDING:
                    sums[f"{side}_posted"] += transfer.amount
                elif self.ending(transfer) is None:
                    sums[f"{side}_pending"] += transfer.amount
                    closed = closed or bool(transfer.flags & closing)
        return replace(account, **sums, flags=int(account.flags | (AccountFlags.CLOSED * closed)))

    def _stored(self, event: Transfer, time: int) -> Transfer:
        pending = self.find(event.pending_id)
        stored = replace(event, amount=self.amount(event), timestamp=time)
        if pending is None:
            return stored
        return replace(
            stored,
            debit_account_id=pending.debit_account_id,
            credit_account_id=pending.credit_account_id,
            ledger=pending.ledger,
            code=pending.code,
            user_data_128=event.user_data_128 or pending.user_data_128,
            user_data_64=event.user_data_64 or pending.user_data_64,
            user_data_32=event.user_data_32 or pending.user_data_32,
        )

    def _expire(self, now: int, events: int) -> None:
        base = max(now, self.last)
        holds = [f.transfer for f in self.facts if f.stands and f.transfer.flags & F.PENDING]
        due = [
            (t.timestamp + t.timeout * SECOND, t.timestamp, t)
            for t in holds
            if t.timeout and self.ending(t) is None and t.timestamp + t.timeout * SECOND <= base
        ]
        for count, (_, _, hold) in enumerate(sorted(due, key=lambda d: d[:2])[:EXPIRIES_MAX], 1):
            flags = int(F.VOID_PENDING_TRANSFER)
            ended = replace(
                hold, id=0, pending_id=hold.id, flags=flags, timeout=0, timestamp=base + count
            )
            self.facts.append(Fact(ended))
            self.last = base + count

    def _run(self, events, now, one, chained, names):  # type: ignore[no-untyped-def]
        self.last = max(now, self.last + len(events))
        first = self.last - len(events) + 1
        answers = []
        position = 0
        while position < len(events):
            end = position
            while end < len(events) and events[end].flags & F.LINKED:
                end += 1
            chain = list(range(position, min(end + 1, len(events))))
            answers += self._run_chain(events, chain, first, end, one, chained, names)
            position = chain[-1] + 1
        assert len(answers) == len(events)
        return answers

    def _run_chain(self, events, chain, first, end, one, chained, names):  # type: ignore[no-untyped-def]
        created, failed, chain_open = names
        before_accounts, before_facts = list(self.created), list(self.facts)
        breaker = None
        for position in chain:
            if end == len(events) and position == len(events) - 1:
                answer = chained(chain_open, first + position)
            else:
                answer = one(events[position], first + position)
            if answer[1] is not created:
                breaker = position
                break
        if breaker is None:
            return [(first + p, created) for p in chain]
        self.created, self.facts = before_accounts, before_facts
        if answer[1] in TRANSIENT_STATUSES and isinstance(events[breaker], Transfer):
            refusal = self._refusal(events[breaker], first + breaker, answer[1])
            self.facts.append(Fact(refusal, answer[1]))
        answers = [chained(failed, first + p) for p in chain]
        answers[breaker - chain[0]] = answer
        if end == len(events) and chain[-1] == len(events) - 1:
            answers[-1] = chained(chain_open, first + chain[-1])
        return answers

    def _refusal(self, event: Transfer, time: int, status: T) -> Transfer:
        amount = AMOUNT_ALL if event.amount >= (1 << 64) - 1 else event.amount
        stored = replace(event, amount=amount, timestamp=time)
        missing = [
            name
            for name, known in (
                ("debit_account_id", self.account(event.debit_account_id)),
                ("credit_account_id", self.account(event.credit_account_id)),
                ("pending_id", self.find(event.pending_id)),
            )
            if known is None
        ]
        named = {
            T.DEBIT_ACCOUNT_NOT_FOUND: "debit_account_id",
            T.CREDIT_ACCOUNT_NOT_FOUND: "credit_account_id",
            T.PENDING_TRANSFER_NOT_FOUND: "pending_id",
        }.get(status)
        # Only the id that was not found is kept; another unknown id has no number to be kept by.
        return replace(stored, **{name: 0 for name in missing if name != named})


def account_rules(o: Oracle, a: Account) -> Iterator[tuple[A, bool]]:
    known_flags = (
        AccountFlags.LINKED
        | AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
        | AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS
        | AccountFlags.CLOSED
    )
    yield A.TIMESTAMP_MUST_BE_ZERO, a.timestamp != 0
    yield A.RESERVED_FIELD, a.reserved != 0
    yield A.RESERVED_FLAG, a.flags & ~known_flags != 0
    yield A.ID_MUST_NOT_BE_ZERO, a.id == 0
    yield A.ID_MUST_NOT_BE_INT_MAX, a.id == ID_MAX
    e = o.account(a.id)
    if e is not None:
        yield A.EXISTS_WITH_DIFFERENT_FLAGS, a.flags != e.flags
        yield A.EXISTS_WITH_DIFFERENT_USER_DATA_128, a.user_data_128 != e.user_data_128
        yield A.EXISTS_WITH_DIFFERENT_USER_DATA_64, a.user_data_64 != e.user_data_64
        yield A.EXISTS_WITH_DIFFERENT_USER_DATA_32, a.user_data_32 != e.user_data_32
        yield A.EXISTS_WITH_DIFFERENT_LEDGER, a.ledger != e.ledger
        yield A.EXISTS_WITH_DIFFERENT_CODE, a.code != e.code
        yield A.EXISTS, True
    both = 6
    yield A.FLAGS_ARE_MUTUALLY_EXCLUSIVE, a.flags & both == both
    yield A.DEBITS_PENDING_MUST_BE_ZERO, a.debits_pending != 0
    yield A.DEBITS_POSTED_MUST_BE_ZERO, a.debits_posted != 0
    yield A.CREDITS_PENDING_MUST_BE_ZERO, a.credits_pending != 0
    yield A.CREDITS_POSTED_MUST_BE_ZERO, a.credits_posted != 0
    yield A.LEDGER_MUST_NOT_BE_ZERO, a.ledger == 0
    yield A.CODE_MUST_NOT_BE_ZERO, a.code == 0


def rules(o: Oracle, t: Transfer, time: int) -> Iterator[tuple[T, bool]]:
    yield T.TIMESTAMP_MUST_BE_ZERO, t.timestamp != 0
    yield T.RESERVED_FLAG, t.flags > 0xFF
    yield T.ID_MUST_NOT_BE_ZERO, t.id == 0
    yield T.ID_MUST_NOT_BE_INT_MAX, t.id == ID_MAX
    e = o.find(t.id)
    if e is not None:
        yield from repeat_rules(o, t, e)
    yield T.ID_ALREADY_FAILED, o.refused(t.id)
    if t.flags & RESOLVING:
        yield from resolving_rules(o, t, time)
    else:
        yield from plain_rules(o, t, time)


def repeat_rules(o: Oracle, t: Transfer, e: Transfer) -> Iterator[tuple[T, bool]]:
    yield T.EXISTS_WITH_DIFFERENT_FLAGS, t.flags != e.flags
    yield T.EXISTS_WITH_DIFFERENT_PENDING_ID, t.pending_id != e.pending_id
    yield T.EXISTS_WITH_DIFFERENT_TIMEOUT, t.timeout != e.timeout
    p = o.find(t.pending_id)
    if p is not None:  # What a resolution leaves out, it inherits.
        everything = AMOUNT_ALL if t.flags & F.POST_PENDING_TRANSFER else 0
        t = replace(
            t,
            debit_account_id=t.debit_account_id or p.debit_account_id,
            credit_account_id=t.credit_account_id or p.credit_account_id,
            amount=p.amount if t.amount == everything else t.amount,
            user_data_128=t.user_data_128 or p.user_data_128,
            user_data_64=t.user_data_64 or p.user_data_64,
            user_data_32=t.user_data_32 or p.user_data_32,
            ledger=t.ledger or p.ledger,
            code=t.code or p.code,
        )
    less = t.amount < e.amount if t.flags & BALANCING else t.amount != e.amount
    yield T.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID, t.debit_account_id != e.debit_account_id
    yield T.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID, t.credit_account_id != e.credit_account_id
    yield T.EXISTS_WITH_DIFFERENT_AMOUNT, less
    yield T.EXISTS_WITH_DIFFERENT_USER_DATA_128, t.user_data_128 != e.user_data_128
    yield T.EXISTS_WITH_DIFFERENT_USER_DATA_64, t.user_data_64 != e.user_data_64
    yield T.EXISTS_WITH_DIFFERENT_USER_DATA_32, t.user_data_32 != e.user_data_32
    yield T.EXISTS_WITH_DIFFERENT_LEDGER, t.ledger != e.ledger
    yield T.EXISTS_WITH_DIFFERENT_CODE, t.code != e.code
    yield T.EXISTS, True


def resolving_rules(o: Oracle, t: Transfer, time: int) -> Iterator[tuple[T, bool]]:
    both = t.flags & RESOLVING == RESOLVING
    clash = t.flags & (F.PENDING | BALANCING | CLOSING)
    yield T.FLAGS_ARE_MUTUALLY_EXCLUSIVE, both or bool(clash)
    yield T.PENDING_ID_MUST_NOT_BE_ZERO, t.pending_id == 0
    yield T.PENDING_ID_MUST_NOT_BE_INT_MAX, t.pending_id == ID_MAX
    yield T.PENDING_ID_MUST_BE_DIFFERENT, t.pending_id == t.id
    yield T.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER, t.timeout != 0
    p = o.find(t.pending_id)
    if p is None:
        yield T.PENDING_TRANSFER_NOT_FOUND, True
        return
    yield T.PENDING_TRANSFER_NOT_PENDING, not p.flags & F.PENDING
    name = T.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID
    yield name, t.debit_account_id not in (0, p.debit_account_id)
    name = T.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID
    yield name, t.credit_account_id not in (0, p.credit_account_id)
    yield T.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER, t.ledger not in (0, p.ledger)
    yield T.PENDING_TRANSFER_HAS_DIFFERENT_CODE, t.code not in (0, p.code)
    yield T.EXCEEDS_PENDING_TRANSFER_AMOUNT, o.amount(t) > p.amount
    void = bool(t.flags & F.VOID_PENDING_TRANSFER)
    yield T.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT, void and o.amount(t) < p.amount
    end = o.ending(p)
    posted = end is not None and bool(end.flags & F.POST_PENDING_TRANSFER)
    yield T.PENDING_TRANSFER_ALREADY_POSTED, posted
    yield T.PENDING_TRANSFER_ALREADY_VOIDED, end is not None and end.id != 0
    late = p.timeout > 0 and p.timestamp + p.timeout * SECOND <= time
    yield T.PENDING_TRANSFER_EXPIRED, end is not None or late
    debit, credit = o.account(p.debit_account_id), o.account(p.credit_account_id)
    assert debit
    assert credit
    closed = AccountFlags.CLOSED
    yield T.DEBIT_ACCOUNT_ALREADY_CLOSED, not void and bool(debit.flags & closed)
    yield T.CREDIT_ACCOUNT_ALREADY_CLOSED, not void and bool(credit.flags & closed)


def plain_rules(o: Oracle, t: Transfer, time: int) -> Iterator[tuple[T, bool]]:
    yield T.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, t.debit_account_id == 0
    yield T.DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX, t.debit_account_id == ID_MAX
    yield T.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, t.credit_account_id == 0
    yield T.CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX, t.credit_account_id == ID_MAX
    yield T.ACCOUNTS_MUST_BE_DIFFERENT, t.debit_account_id == t.credit_account_id
    yield T.PENDING_ID_MUST_BE_ZERO, t.pending_id != 0
    now = not t.flags & F.PENDING
    yield T.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER, now and t.timeout != 0
    yield T.CLOSING_TRANSFER_MUST_BE_PENDING, now and bool(t.flags & CLOSING)
    yield T.LEDGER_MUST_NOT_BE_ZERO, t.ledger == 0
    yield T.CODE_MUST_NOT_BE_ZERO, t.code == 0
    d, c = o.account(t.debit_account_id), o.account(t.credit_account_id)
    yield T.DEBIT_ACCOUNT_NOT_FOUND, d is None
    yield T.CREDIT_ACCOUNT_NOT_FOUND, c is None
    assert d
    assert c
    yield T.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER, d.ledger != c.ledger
    yield T.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS, t.ledger != d.ledger
    yield T.DEBIT_ACCOUNT_ALREADY_CLOSED, bool(d.flags & AccountFlags.CLOSED)
    yield T.CREDIT_ACCOUNT_ALREADY_CLOSED, bool(c.flags & AccountFlags.CLOSED)
    amount = o.amount(t)
    yield T.OVERFLOWS_DEBITS_PENDING, not now and d.debits_pending + amount > AMOUNT_MAX
    yield T.OVERFLOWS_CREDITS_PENDING, not now and c.credits_pending + amount > AMOUNT_MAX
    yield T.OVERFLOWS_DEBITS_POSTED, d.debits_posted + amount > AMOUNT_MAX
    yield T.OVERFLOWS_CREDITS_POSTED, c.credits_posted + amount > AMOUNT_MAX
    debits, credits_ = d.debits_pending + d.debits_posted, c.credits_pending + c.credits_posted
    yield T.OVERFLOWS_DEBITS, debits + amount > AMOUNT_MAX
    yield T.OVERFLOWS_CREDITS, credits_ + amount > AMOUNT_MAX
    yield T.OVERFLOWS_TIMEOUT, time + t.timeout * SECOND >= 1 << 63
    limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
    yield T.EXCEEDS_CREDITS, bool(d.flags & limited) and debits + amount > d.credits_posted
    limited = AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS
    yield T.EXCEEDS_DEBITS, bool(c.flags & limited) and credits_ + amount > c.debits_posted
