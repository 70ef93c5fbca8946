"""Who makes the load: the cards and terminals of a story's directory, with their real keys.

Cards that the story has used keep out of it: their chips' counters stand in their own images.
"""

from collections.abc import Iterable

from ledger.port import Ledger
from lumbung.composition import Offices
from lumbung.lines import deliver
from lumbung.load.limits import ATC_GAP, ENROL_SECONDS
from lumbung.load.messages import CODEC, TPDU, LoadCard, LoadTerminal
from lumbung.load.schedule import LoadError
from lumbung.story.cast import pan_of, pin_of
from programme.chart import SaleData, TransferCode
from programme.registry_port import CardStatus, TerminalView
from protocols.business_time import transmission_time
from protocols.crypto import tr31
from protocols.crypto.emv_keys import icc_master_key
from protocols.crypto.mac import RetailMac
from protocols.framing import EDC_FRAMES, frame
from protocols.iso8583 import Message
from protocols.values import SecretBytes
from switch.pipeline.food_rule import category_refusal
from switch.rules import load_rules

_KEY_CHANGE, _LOG_ON = "161", "001"
#: Trace numbers of the log-on; purchases begin behind them.
_FIRST_STAN = 2


def load_cards(offices: Offices, ledger: Ledger) -> list[LoadCard]:
    """Give the active cards that no counter of the story holds, each with its next counter."""
    seed = offices.data.manifest.seed
    assert seed is not None, "the caller refuses a directory without a seed"
    used = _counters(ledger)
    issuer_key = offices.keystore.get("imk_ac")
    cards = []
    for decree in offices.registry.decrees.all():
        for line in offices.registry.decrees.lines(decree.decree_number):
            pan = pan_of(seed, line.recipient_number)
            view = offices.registry.card_by_pan(pan)
            if view is None or view.status is not CardStatus.ACTIVE:
                continue
            if (offices.data.cards / f"card-{view.card_number:06d}.json").exists():
                continue
            sequence = f"{view.pan_sequence or '0':0>2}"
            seen = used.get(view.account_id)
            cards.append(
                LoadCard(
                    pan, sequence, view.expires_on.strftime("%y%m"),
                    pin_of(seed, line.recipient_number),
                    icc_master_key(issuer_key, pan, sequence),
                    0 if seen is None else seen + ATC_GAP,
                )
            )  # fmt: skip
    if not cards:
        raise LoadError("this directory has no active card that the story has not used.",
                        fix="Make a fresh one: lumbung demo --data DIRECTORY")  # fmt: skip
    return cards


def cards_for(cards: list[LoadCard], connections: int) -> list[LoadCard]:
    """Give as many cards as let each one always buy on the same connection.

    A card's counters must arrive in order; two connections keep none between them. Message number
    n goes to connection n modulo their count, and to card n modulo the cards'.
    """
    return cards[: len(cards) // connections * connections] or cards


async def log_on_all(offices: Offices, host: str, port: int, now_ns: int) -> list[LoadTerminal]:
    """Give the terminals of shops that sell food, each with fresh session keys and logged on.

    The story's own terminals must log on again afterwards. Raises LoadError when one cannot.
    """
    rules = load_rules(None)
    terminals = []
    for view in offices.registry.all_terminals():
        shop = offices.registry.merchant(view.home_merchant_id)
        if shop is None or not shop.designated or shop.suspended:
            continue
        registered = shop.category in shop.conditional_categories
        if category_refusal(rules, shop.category, registered=registered) is None:
            terminals.append(await _log_on(offices, view, shop.merchant_id, host, port, now_ns))
    if not terminals:
        raise LoadError("this directory has no terminal of a shop that sells food.")
    return terminals


async def _log_on(
    offices: Offices, view: TerminalView, merchant_id: str, host: str, port: int, now_ns: int
) -> LoadTerminal:
    def request(code: str, stan: int, key_set: str) -> Message:
        return Message(
            "0800",
            {
                7: transmission_time(now_ns), 11: f"{stan:06d}", 41: view.terminal_id,
                42: f"{merchant_id:15}", 61: {"operator": "LOAD", "key_set": key_set}, 70: code,
            },
        )  # fmt: skip

    answer = await _exchange(CODEC.encode(request(_KEY_CHANGE, 1, "0000")), host, port)
    _must_be_approved(answer, view.terminal_id)
    master = offices.keystore.get(view.key_label)
    mac = RetailMac(_unwrap(master, answer.text(48, "mac")))
    pin_key = _unwrap(master, answer.text(48, "pin"))
    terminal = LoadTerminal(
        view.terminal_id, merchant_id, answer.text(61, "key_set"), mac, pin_key, _FIRST_STAN
    )
    log_on = request(_LOG_ON, _FIRST_STAN, terminal.key_set)
    answer = await _exchange(CODEC.encode_with_mac(log_on, mac.mac), host, port)
    _must_be_approved(answer, view.terminal_id)
    return terminal


def _unwrap(master: SecretBytes, block: str) -> SecretBytes:
    return tr31.unwrap(master, block)[1]


async def _exchange(payload: bytes, host: str, port: int) -> Message:
    try:
        raw = await deliver(
            host, port, frame(payload, TPDU, EDC_FRAMES), timeout_ms=int(ENROL_SECONDS * 1000)
        )
    except TimeoutError as error:
        raise LoadError(
            f"{host}:{port}: no answer to a log-on.",
            fix="Is the switch running? lumbung switch run --data DIRECTORY --port 8583",
        ) from error
    return CODEC.decode(raw)


def _must_be_approved(answer: Message, terminal_id: str) -> None:
    if answer.get(39) != "00":
        raise LoadError(f"terminal {terminal_id} could not log on (DE39 {answer.text(39)}).",
                        fix="Does the switch run on the same --data directory?")  # fmt: skip


def _counters(ledger: Ledger) -> dict[int, int]:
    """Give the highest counter of each account's chip that the ledger knows."""
    highest: dict[int, int] = {}
    sales: Iterable[tuple[int, int]] = (
        (entry.transfer.debit_account_id, SaleData.unpack(entry.transfer.user_data_64).atc)
        for entry in ledger.entries()
        if entry.transfer.code == TransferCode.PURCHASE
    )
    for account_id, atc in sales:
        highest[account_id] = max(atc, highest.get(account_id, 0))
    return highest
