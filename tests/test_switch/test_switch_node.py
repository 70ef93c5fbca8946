"""The node between disk and answers: kills, overload, a lost ledger, any interleaving."""

import itertools
import random
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerBusyError, LedgerFullError, LedgerPoisonedError
from programme.chart import TransferCode
from protocols.iso8583 import Message
from switch.changes import AtcMarksKept, BusinessDateMoved
from switch.config import SwitchConfig
from switch.reconciliation import reconcile
from switch.state import StateForeignError, StateLostError
from tests.test_switch.switch_world import World


def repeat_of(message: Message, mti: str) -> Message:
    return Message(mti, dict(message.elements))


def test_kill_between_state_and_ledger_posts_nothing_and_the_terminal_settles(counter):
    """The try is counted, the sale is not posted: the terminal reverses, or repeats and buys."""
    world = counter.world
    wrong = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    sale, other = (counter.edc.purchase(counter.chip, 1_000_000) for _ in range(2))
    assert world.receive(*map(counter.edc.encode, (wrong, sale, other))) == []
    work = world.node.core.next_work()
    world.node.state.commit(work.changes)
    world.restart()
    assert world.postings() == 0
    (again,) = counter.edc.send(repeat_of(wrong, "0201"))
    assert (again.text(39), again.text(44)) == ("55", "N=2")
    assert counter.edc.send(counter.edc.reversal(other))[0].text(39) == "00"
    assert counter.edc.send(repeat_of(sale, "0201"))[0].text(39) == "00"
    assert counter.edc.send(repeat_of(other, "0201"))[0].text(39) == "76"
    assert world.card_balance(counter.chip) == 29_000_000


def test_kill_after_the_ledger_and_before_the_answer_gives_the_answer_to_the_repeat(counter):
    world = counter.world
    sale = counter.edc.purchase(counter.chip, 1_000_000)
    assert world.receive(counter.edc.encode(sale)) == []
    world.finish(world.node.core.next_work())
    world.restart()
    answer = counter.edc.send(repeat_of(sale, "0201"))[0]
    assert answer.text(39) == "00"
    assert counter.chip.issuer_is_genuine(sale, answer)
    assert world.postings() == 1


def test_start_replays_only_what_the_kept_marks_do_not_cover(counter):
    world = counter.world
    early = counter.edc.purchase(counter.chip, 100_000)
    counter.edc.send(early)
    world.clock.advance(86_400)
    late = counter.edc.purchase(counter.chip, 100_000)
    counter.edc.send(late)
    world.set_amount_rule(card_day_sales_limit=2)
    world.restart()
    memory = world.node.core._desk.memory
    assert 0 < memory.replay_after < world.ledger.last_sequence
    assert memory.velocity.of(1_001) == (100_000, 1)
    assert memory.day_index.find(17, int(late.text(11))) is not None
    assert memory.day_index.find(17, int(early.text(11))) is None
    for old in (early, late):
        replayed = counter.edc.purchase(counter.chip, 100_000)
        replayed.elements[55] = old.elements[55]
        assert counter.edc.send(replayed)[0].text(39) == "88"


def test_day_is_replayed_whole_although_its_marks_were_kept_in_the_middle(counter):
    counter.buy(100_000)
    counter.world.node.core.keep_marks()
    counter.buy(200_000)
    counter.world.restart()
    assert counter.world.node.core._desk.memory.velocity.of(1_001) == (300_000, 2)


def test_state_file_that_is_ahead_of_its_ledger_is_refused(counter):
    world = counter.world
    world.node.state.commit([BusinessDateMoved(date(2026, 1, 5), 900), AtcMarksKept(900, ())])
    with pytest.raises(StateForeignError, match="seen more of the ledger"):
        world.restart()


def test_state_file_that_was_lost_is_not_begun_anew_beside_sales_unless_that_is_asked_for(counter):
    world = counter.world
    assert counter.buy(100_000, pin="000000").text(39) == "55"
    assert counter.buy(100_000).text(39) == "00"
    assert counter.buy(100_000, pin="000000").text(39) == "55"
    world.node.state.close()
    for file in world.directory.glob("switch.sqlite*"):
        file.unlink()
    for _start in range(2):
        with pytest.raises(StateLostError, match=r"was lost.*accept_lost_state"):
            world.restart()
    world.config = SwitchConfig(accept_lost_state=True)
    world.restart()
    assert world.node.core.events[0][0] == "state-lost"
    world.config = SwitchConfig()
    world.exchange()
    world.restart()
    assert [name for name, _ in world.node.core.events] == []


def test_no_answer_leaves_before_its_work_is_done(counter):
    world = counter.world
    for message in (
        counter.edc.purchase(counter.chip, 1_000_000),
        counter.edc.balance(counter.chip),
    ):
        assert world.receive(counter.edc.encode(message)) == []
        assert len(world.finish(world.node.core.next_work())) == 1


def test_messages_that_come_while_work_is_under_way_make_the_next_piece(counter):
    world = counter.world
    other = world.add_card(2, 30_000_000)
    first = counter.edc.encode(counter.edc.purchase(counter.chip, 1_000_000))
    second = counter.edc.encode(counter.edc.purchase(other, 1_000_000))
    assert world.receive(first) == []
    work = world.node.core.next_work()
    assert world.receive(second) == []
    assert world.node.core.next_work() is None
    assert len(world.finish(work)) == 1
    assert len(world.finish(world.node.core.next_work())) == 1
    assert world.node.core.under_way == 0


@pytest.mark.parametrize(
    ("error", "code"), [(LedgerBusyError("busy"), "91"), (LedgerFullError("full"), "96")]
)
def test_work_that_the_ledger_refused_is_answered_and_may_be_tried_again(counter, error, code):
    world = counter.world
    sale = counter.edc.purchase(counter.chip, 1_000_000)
    world.receive(counter.edc.encode(sale))
    world.node.core.next_work()
    (departure,) = world.node.core.refuse_work(code, error.code)
    assert counter.edc.decode(departure.payload).text(39) == code
    assert world.node.core._desk.memory.velocity.of(1_001) == (0, 0)
    request = counter.edc.purchase(counter.chip, 1_000_000)
    assert counter.edc.send(request)[0].text(39) == "00"


def test_lost_ledger_cuts_what_is_under_way_and_answers_96_from_then_on(counter):
    world = counter.world
    sale = counter.edc.purchase(counter.chip, 1_000_000)
    repeat = repeat_of(sale, "0201")
    world.receive(counter.edc.encode(sale), counter.edc.encode(repeat))
    world.node.core.next_work()
    departures = world.node.core.become_unfit("E-LG-0003: the disk said no")
    assert [departure.payload for departure in departures] == [None, None]
    assert world.node.core.under_way == 0
    later = counter.edc.send(counter.edc.purchase(counter.chip, 1_000_000))
    assert later[0].text(39) == "96"
    assert counter.edc.send(counter.edc.reversal(sale))[0].text(39) == "96"
    assert world.node.core.next_work() is None
    assert world.postings() == 0


def test_unfit_node_keeps_nothing_more_of_a_memory_that_is_ahead_of_the_disk(counter):
    """A settlement whose writing failed closed the batch in memory only; a restart counts it."""
    edc, core = counter.edc, counter.world.node.core
    assert counter.buy(1_000_000).text(39) == "00"
    settle = edc.settlement((1, 1_000_000, 0, 0, 0, 0))
    counter.world.receive(edc.encode(settle))
    counter.world.finish(core.next_work())
    assert core.next_work().changes
    core.become_unfit("E-SW-0101: the disk is full")
    core.cut_over("bank")
    core.keep_marks()
    assert core.next_work() is None
    counter.world.restart()
    assert edc.send(repeat_of(settle, "0501"))[0].text(39) == "00"
    batches, uploads = counter.world.node.state.batches()
    entries = counter.world.ledger.entries()
    assert reconcile(entries, batches, uploads, date(2026, 1, 5)).differences == ()


def test_ledger_lost_at_a_look_up_makes_the_node_unfit(counter):
    class Lost:
        def lookup_entries(self, ids):
            raise LedgerPoisonedError("poisoned")

    counter.world.node.core._desk.reader = Lost()
    assert counter.buy(1_000_000).text(39) == "96"
    assert "E-LG-0003" in counter.world.node.core.unfit_reason


def test_overload_is_answered_91_at_once_and_nothing_of_it_is_remembered(directory):
    config = SwitchConfig.model_validate(
        {"connections": {"in_flight_maximum": 2, "total_in_flight_maximum": 3}}
    )
    world = World(directory, config)
    edc = world.add_edc(1, world.add_shop(1)).start()
    chips = [world.add_card(number, 1_000_000) for number in range(1, 5)]
    requests = [edc.purchase(chip, 100_000) for chip in chips]
    departures = world.receive(*map(edc.encode, requests))
    assert [edc.decode(d.payload).text(39) for d in departures] == ["91", "91"]
    assert len(world.finish(world.node.core.next_work())) == 2
    assert [answer.text(39) for answer in edc.send(*requests[2:])] == ["00", "00"]
    world.close()


def test_draining_node_finishes_what_is_under_way_and_answers_91_to_the_rest(counter):
    world = counter.world
    first, second = (counter.edc.purchase(counter.chip, 100_000) for _ in range(2))
    assert world.receive(counter.edc.encode(first)) == []
    world.node.core.is_draining = True
    (departure,) = world.receive(counter.edc.encode(second))
    assert counter.edc.decode(departure.payload).text(39) == "91"
    (departure,) = world.finish(world.node.core.next_work())
    assert counter.edc.decode(departure.payload).text(39) == "00"


def test_repeats_beyond_the_parking_limit_are_answered_91(counter):
    payload = counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    departures = counter.world.receive(*[payload] * 12)
    codes = [counter.edc.decode(departure.payload).text(39) for departure in departures]
    assert codes == ["91"] * 3
    assert len(counter.world.finish(counter.world.node.core.next_work())) == 1
    while (work := counter.world.node.core.next_work()) is not None:
        counter.world.finish(work)
    assert counter.world.postings() == 1
    assert counter.world.node.core.under_way == 0


class Street:
    """Sales, repeats and reversals of one terminal in any order, with kills between."""

    def __init__(self, directory) -> None:
        self.world = World(directory)
        self.edc = self.world.add_edc(1, self.world.add_shop(1)).start()
        self.chip = self.world.add_card(1, 1_000_000)
        self.sales: list[Message] = []
        self.reversed: set[str] = set()
        self.approved: dict[str, str] = {}

    def pick(self, number: int) -> Message:
        return self.sales[number % len(self.sales)]

    def message(self, kind: str, number: int) -> Message:
        if kind == "sale" or not self.sales:
            pin = "000000" if number % 11 == 0 else "482159"
            self.sales.append(self.edc.purchase(self.chip, (number % 4 + 1) * 100_000, pin=pin))
            return self.sales[-1]
        sale = self.pick(number)
        if kind == "repeat":
            return repeat_of(sale, "0201")
        self.reversed.add(sale.text(11))
        return self.edc.reversal(sale, "0400" if kind == "reversal" else "0401")

    def turn(self, steps: list[tuple[str, int]], kill: str) -> None:
        messages = [self.message(kind, number) for kind, number in steps]
        departures = self.world.receive(*map(self.edc.encode, messages))
        while (work := self.world.node.core.next_work()) is not None:
            if kill == "before the ledger":
                self.world.node.state.commit(work.changes)
                self.world.restart()
                break
            departures += self.world.finish(work)
            if kill == "before the answers":
                departures = []
                self.world.restart()
                break
        for departure in departures:
            answer = self.edc.decode(departure.payload)
            if answer.mti == "0210" and answer.text(39) == "00":
                known = self.approved.setdefault(answer.text(37), answer.text(38))
                assert known == answer.text(38), "an approval code is a function of the sale"

    def check(self) -> None:
        """Each approved and not reversed sale stands once, each reversal undid at most one."""
        sold: dict[int, int] = {}
        undone: dict[int, int] = {}
        for entry in self.world.ledger.entries():
            transfer = entry.transfer
            if entry.status != 0xFFFFFFFF:
                continue
            if transfer.code == TransferCode.PURCHASE:
                sold[transfer.id] = transfer.amount
            elif transfer.code == TransferCode.REVERSAL:
                original = transfer.user_data_128
                undone[original] = undone.get(original, 0) + transfer.amount
        for original, amount in undone.items():
            assert amount <= sold[original]
        standing = sum(sold.values()) - sum(undone.values())
        assert standing == self.world.balance(5_001)
        assert standing == 1_000_000 - self.world.card_balance(self.chip)
        in_force = {sale.text(37) for sale in self.sales if sale.text(11) not in self.reversed}
        approved = sum(
            int(sale.text(4))
            for sale in self.sales
            if sale.text(37) in in_force & self.approved.keys()
        )
        assert approved <= standing

    def settle(self) -> None:
        """Let the terminal finish: what was not answered is reversed; then all must agree."""
        open_sales = [sale for sale in self.sales if sale.text(37) not in self.approved]
        for sale in open_sales:
            assert self.edc.send(self.edc.reversal(sale))[0].text(39) == "00"
            self.reversed.add(sale.text(11))
        for sale in self.sales:
            if sale.text(11) in self.reversed:
                assert self.edc.send(self.edc.reversal(sale, "0401"))[0].text(39) == "00"
                assert self.edc.send(repeat_of(sale, "0201"))[0].text(39) != "00"
        kept = [s for s in self.sales if s.text(11) not in self.reversed]
        assert self.world.balance(5_001) == sum(int(sale.text(4)) for sale in kept)
        assert self.world.ledger.verify().sum_minor == 0


_STEP = st.tuples(
    st.sampled_from(["sale", "sale", "repeat", "reversal", "reversal repeat"]),
    st.integers(0, 40),
)
_KILL = st.sampled_from(["", "", "", "before the ledger", "before the answers"])
_counter = itertools.count()


def walk(directory, turns) -> None:
    place = directory / str(next(_counter))
    place.mkdir()
    street = Street(place)
    try:
        for steps, kill in turns:
            street.turn(steps, kill)
            street.check()
        street.settle()
        street.check()
    finally:
        street.world.close()


@settings(max_examples=8)
@given(turns=st.lists(st.tuples(st.lists(_STEP, min_size=1, max_size=5), _KILL), max_size=5))
def test_any_interleaving_leaves_one_unreversed_posting_per_approved_answer(
    directory_of_session, turns
):
    walk(directory_of_session, turns)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_long_interleaving_with_kills_keeps_the_books(directory, seed):
    noise = random.Random(seed)
    kinds = ["sale", "sale", "repeat", "reversal", "reversal repeat"]
    kills = ["", "", "", "before the ledger", "before the answers"]
    turns = [
        (
            [(noise.choice(kinds), noise.randrange(40)) for _ in range(noise.randint(1, 8))],
            noise.choice(kills),
        )
        for _ in range(12)
    ]
    walk(directory, turns)
