"""Stands at the switch's door and reads every message in and out, as an honest onlooker would.

What the switch says yes to is durable when it says so; what an office has forbidden before a
message came is never done; PIN tries are those that were typed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ledger.statuses import CreateTransferStatus
from protocols.ids import MessageKey, transfer_id
from protocols.iso8583 import Codec, Message, MessageError, load_spec
from switch.session import Arrival, Departure

if TYPE_CHECKING:
    from tests.sim_system.system_simulation import Simulation

CODEC = Codec(load_spec("edc"))
_APPROVED = frozenset({"00", "10"})
#: This PIN was wrong; the card has no tries left, by this message or before it.
_WRONG_PIN, _NO_TRIES = "55", "75"
_PARTIAL = "10"
#: First digits of DE3 of what moves money to the shop, and back.
_TO_SHOP, _BACK = "00", ("02", "20")


@dataclass(slots=True)
class Request:
    """A message as it came in first."""

    came_ns: int
    card_number: int
    shop: str
    has_pin: bool
    amount_sen: int
    day: date
    proxy: str
    items: frozenset[str]


class PinBook:
    """Wrong PINs that the switch has told of, by card, since the last that may have cleared."""

    def __init__(self) -> None:
        """Begin with none."""
        self.told: dict[int, set[int]] = {}
        self.spent: set[int] = set()
        #: What a message under way may have cleared, by its id.
        self._uncertain: dict[int, tuple[set[int], bool]] = {}

    def came(self, card: int, message: int) -> None:
        """A message with a PIN is under way: if its answer is never heard, nobody knows."""
        self._uncertain[message] = (self.told.pop(card, set()), card in self.spent)
        self.spent.discard(card)

    def stands(self, card: int, message: int) -> None:
        """Its PIN was wrong: it cleared nothing."""
        told, was_spent = self._uncertain.pop(message, (set(), False))
        self.told.setdefault(card, set()).update(told)
        if was_spent:
            self.spent.add(card)

    def tell(self, card: int, message: int) -> None:
        """Take down a wrong PIN that was answered."""
        self.told.setdefault(card, set()).add(message)

    def forgive(self, card: int) -> None:
        """Forget: a right PIN, or the help desk."""
        self.told.pop(card, None)
        self.spent.discard(card)


class Witness:
    """Reads what passes the door."""

    def __init__(self, simulation: "Simulation") -> None:
        """Begin."""
        self.simulation = simulation
        self.sales: set[int] = set()
        self.corrections: set[int] = set()
        self._requests: dict[int, Request] = {}
        self._told: set[int] = set()
        #: What was answered to each message: DE39 and approval code.
        self.answers: dict[int, set[tuple[str, str]]] = {}

    @property
    def _seen(self) -> Counter[str]:
        return self.simulation.seen

    def came(self, arrival: Arrival) -> None:
        """Note when a message came first."""
        try:
            message = CODEC.decode(arrival.payload)
            key = _id_of(message)
        except (MessageError, ValueError):
            self._seen["request: unreadable"] += 1
            return
        self._seen[f"request: {message.mti}"] += 1
        if key and key not in self._requests:
            card = 0
            if 35 in message or 2 in message:
                card = self.simulation.card_of(message)
            more = message.parts(62) if 62 in message else {}
            self._requests[key] = Request(
                self.simulation.time.passed_ns,
                card,
                message.text(42).rstrip() if 42 in message else "",
                52 in message,
                int(message.text(4)) if 4 in message else 0,
                self.simulation.node.node.core.desk.memory.business_date,
                str(more.get("proxy", "")),
                frozenset(str(line["item"]).strip() for line in _lines(more)),
            )
            if 52 in message:
                self.simulation.pins.came(card, key)

    def left(self, departure: Departure) -> None:
        """Check an answer as it leaves."""
        if departure.payload is None:
            self._seen["answer: cut"] += 1
            return
        answer = CODEC.decode(departure.payload)
        code = answer.text(39)
        self._seen[f"answer: {answer.mti[:2]} {code}"] += 1
        key = _id_of(answer)
        said = (code, answer.text(38) if 38 in answer else "")
        self.answers.setdefault(key, set()).add(said)
        if answer.mti[:2] not in ("01", "02"):
            return
        request = self._requests.get(key)
        if request is None:
            return
        self._judge_pin(key, request, code)
        if answer.mti[:2] == "02" and code in _APPROVED:
            self._judge_approval(key, request, answer)

    def _judge_pin(self, key: int, request: Request, code: str) -> None:
        if not request.has_pin:
            return
        if code in (_NO_TRIES, _WRONG_PIN):
            self.simulation.pins.stands(request.card_number, key)
        if code == _NO_TRIES:
            self._seen["PIN: no tries left"] += 1
            self.simulation.pins.spent.add(request.card_number)
        elif code == _WRONG_PIN:
            self._seen["PIN: told wrong"] += 1
            if key not in self._told:  # A repeat hears the same, whatever became of the try.
                self._told.add(key)
                self.simulation.pins.tell(request.card_number, key)
        else:
            self.simulation.pins.forgive(request.card_number)

    def _judge_approval(self, key: int, request: Request, answer: Message) -> None:
        kind = answer.text(3)[:2]
        if kind not in (_TO_SHOP, *_BACK):
            return
        ledger = self.simulation.node.ledger
        assert ledger is not None, "a node that answers is up"
        (entry,) = ledger.lookup_entries([key])
        assert entry is not None, f"an approval without its record: {key:032x}"
        if kind != _TO_SHOP:
            self.corrections.add(key)
            return
        assert entry.status == CreateTransferStatus.CREATED, "an approval that moved nothing"
        self._judge_amount(request, answer, entry.transfer.amount)
        self.sales.add(key)
        self._seen["people: basket bought"] += bool(request.items)
        if answer.mti[2] == "1":  # A voucher was sold before.
            self._judge_permission(request)

    def _judge_amount(self, request: Request, answer: Message, posted_sen: int) -> None:
        """The amount that is told is the one that was posted, and less only where it says so."""
        assert int(answer.text(4)) == posted_sen, "another amount was told than was posted"
        is_part = answer.text(39) == _PARTIAL
        assert posted_sen < request.amount_sen if is_part else posted_sen == request.amount_sen

    def _judge_permission(self, request: Request) -> None:
        """What an office had forbidden before the message came was not done."""
        office = self.simulation.office
        for since, what in (
            (office.blocked_since.get(request.card_number), "a blocked card bought"),
            (office.replaced_since.get(request.card_number), "a replaced card bought"),
            (office.suspended_since.get(request.shop), "a suspended shop sold"),
            *(
                (office.forbidden_since.get(item), "a forbidden item was sold")
                for item in request.items
            ),
        ):
            assert since is None or request.came_ns <= since, what
        if request.proxy:
            self._judge_proxy(request)

    def _judge_proxy(self, request: Request) -> None:
        registry = self.simulation.registry
        proxy = registry.proxy(int(request.proxy.removeprefix("W")))
        card = registry.card(request.card_number)
        assert proxy is not None, "nobody's proxy bought"
        assert card is not None
        assert proxy.account_id == card.account_id, "a proxy bought with another's card"
        ended = self.simulation.office.proxy_ended_since.get(proxy.proxy_number)
        assert ended is None or request.came_ns <= ended, "an ended proxy bought"
        assert ended is not None or request.day <= proxy.valid_until, "a proxy bought too late"
        self._seen["people: proxy bought"] += 1


def _lines(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = parts.get("basket", [])
    assert isinstance(lines, list), "the codec decoded it"
    return lines


def _id_of(message: Message) -> int:
    """Give the id that a request or its answer implies, 0 for what has none."""
    if any(element not in message for element in (7, 11, 37, 41)):
        return 0
    key = MessageKey(
        "edc", message.text(32) if 32 in message else "", message.text(41), message.text(7),
        message.text(11), message.text(37), message.mti[:2],
    )  # fmt: skip
    return transfer_id(key)
