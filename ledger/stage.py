"""The stage: what a commit group has done to the books and the log does not hold yet.

Readers see the durable state only, so the first change of an account in a group keeps what it was
before; a linked chain that breaks is taken back from here too.
"""

from ledger.books import AccountRow, Books, PendingRow, Saved
from ledger.limits import ACCOUNTS_MAX
from ledger.record import Kind, Record, pack_body
from ledger.structures import TransferFlags

LINKED = int(TransferFlags.LINKED)


class _Chain:
    """What it takes to undo the linked chain that is running."""

    __slots__ = ("accounts", "before", "ids", "length", "opened", "resolved")

    def __init__(self, length: int, accounts: int) -> None:
        self.length = length
        self.accounts = accounts
        self.before: dict[int, tuple[AccountRow, Saved]] = {}
        self.ids: list[int] = []
        self.opened: list[int] = []
        self.resolved: list[PendingRow] = []


class Stage:
    """Books plus the bodies of the records that the next frame will hold."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.bodies: list[bytes] = []
        self.postings: list[tuple[AccountRow, AccountRow] | None] = []
        self.before: dict[int, Saved] = {}
        self.chain: _Chain | None = None

    @property
    def next_sequence(self) -> int:
        """Give the sequence of the record that is added next."""
        return self.books.last_sequence + len(self.bodies) + 1

    def touch(self, row: AccountRow) -> None:
        """Keep what an account was, before it changes."""
        number = row.number
        if number not in self.before:
            self.before[number] = row.save()
        if self.chain is not None and number not in self.chain.before:
            self.chain.before[number] = (row, row.save())

    def add(self, body: bytes, rows: tuple[AccountRow, AccountRow] | None) -> None:
        """Add a record's body; `rows` get it into their postings once it is durable."""
        self.bodies.append(body)
        self.postings.append(rows)

    def add_account(self, record: Record) -> None:
        """Add an account and its record."""
        assert record.debit <= ACCOUNTS_MAX
        row = AccountRow(record)
        self.books.rows.append(row)
        self.books.accounts[row.id] = row
        self.add(pack_body(record), None)

    def take_id(self, transfer_id: int, sequence: int) -> None:
        """Take a transfer's id for ever; a negative sequence says that it was refused."""
        self.books.index[transfer_id] = sequence
        if self.chain is not None:
            self.chain.ids.append(transfer_id)

    def open_hold(self, pending: PendingRow) -> None:
        """Open a hold."""
        self.books.open_hold(pending)
        if self.chain is not None:
            self.chain.opened.append(pending.record.sequence)

    def resolve_hold(self, pending: PendingRow, kind: Kind, amount: int) -> None:
        """Release a hold."""
        self.touch(pending.debit)
        self.touch(pending.credit)
        self.books.resolve_hold(pending, kind, amount)
        if self.chain is not None:
            self.chain.resolved.append(pending)

    def begin_chain(self) -> None:
        """Start to remember how to undo."""
        assert self.chain is None
        self.chain = _Chain(len(self.bodies), len(self.books.rows))

    def end_chain(self) -> None:
        """Keep what the chain did."""
        self.chain = None

    def break_chain(self) -> None:
        """Take back everything since `begin_chain`."""
        chain, books = self.chain, self.books
        assert chain is not None
        self.chain = None
        for row, saved in chain.before.values():
            row.restore(saved)
        for transfer_id in chain.ids:
            del books.index[transfer_id]
        for pending in chain.resolved:
            del books.resolved[pending.record.sequence]
            books.pendings[pending.record.sequence] = pending
        for sequence in chain.opened:
            del books.pendings[sequence]
        for row in books.rows[chain.accounts :]:
            del books.accounts[row.id]
        del books.rows[chain.accounts :]
        del self.bodies[chain.length :]
        del self.postings[chain.length :]

    def publish(self) -> list[bytes]:
        """Take the staged records as durable; give their bodies."""
        bodies = self.bodies
        for sequence, rows in enumerate(self.postings, self.books.last_sequence + 1):
            if rows is not None:
                rows[0].postings.append(sequence)
                rows[1].postings.append(sequence)
        self.books.last_sequence += len(bodies)
        self.bodies, self.postings, self.before = [], [], {}
        return bodies
