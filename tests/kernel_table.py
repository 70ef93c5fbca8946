"""Runs the rows of `tests/test_terminal/kernel_cases/*.toml`: a card, its faults, what must come.

A row: `name`, `clause`, and what differs from its file's `[defaults]`:
`profile`, `terminal` (city or laboratory), `tap`; `set` (fields of the terminal's data, bytes in
hex; `ca_keys` none or foreign); `application`, `state`, `put` (tag = hex, "-" takes it out), `add`
([tag, hex] at the end of the last record), `person` (arguments of `personalise`), `signer` (fields
of the published signer), `transplant` (tags taken from another card of the issuer), `blocked`;
`faults` (entries of a fault plan), `given` (the transaction), `pins` ("" is none entered).
`expect`: kind, reason, TVR, TSI, CVM results ("" is not looked at); `arqc` good or wrong.
`host`: `arc`, `answer` (good, wrong, other, none, short, long, no host); `then`: kind, reason, TVR,
TSI, and whether the sale must be reversed.
"""

import datetime
import random
from collections.abc import Generator
from dataclasses import replace
from functools import cache
from typing import Any

from cardsim import Card, CardImage, published_authority
from cardsim.fault_plan import parse_fault
from cardsim.faults import FaultLayer, ReactionKind
from protocols.crypto.certificates import CaPublicKey
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.values import Pan, SecretBytes
from terminal.kernel import (
    KernelOutcome,
    TerminalData,
    TransactionInput,
    complete_online,
    finish_tap,
    laboratory_terminal_data,
    start_tap,
    start_transaction,
    unable_to_go_online,
)
from tests.card_changes import add, put
from tests.card_kit import (
    PAN,
    TERMINAL,
    StillClock,
    expected_arqc,
    issuer_answer,
    make_image,
    purchase,
    with_application,
)

Row = dict[str, Any]

OTHER_PAN = Pan("9360099900000026")
LABORATORY = laboratory_terminal_data(terminal_id="12400017", merchant_id="EW0000000000017")
KEYS = {
    "name", "clause", "profile", "terminal", "tap", "set", "application", "state", "put", "add",
    "person", "signer", "transplant", "blocked", "faults", "given", "pins", "expect", "arqc",
    "host", "then",
}  # fmt: skip


def failures(table: dict[str, Any]) -> list[str]:
    """Give one line for each row of a file that comes out otherwise than it says."""
    found = []
    for row in table["case"]:
        row = {**table.get("defaults", {}), **row}
        assert not set(row) - KEYS, f"{row['name']}: unknown key"
        found += [f"{row['name']} ({row['clause']}): {what}" for what in _wrong(row)]
    return found


def _wrong(row: Row) -> list[str]:
    random_bytes = random.Random(5).randbytes
    card = Card(_image(row), StillClock(), random_bytes)
    plan = [parse_fault(entry, row["name"]) for entry in row.get("faults", ())]
    layer = FaultLayer(card, plan)
    layer.power()
    data, given = _terminal(row), _given(row)
    pins = iter(row.get("pins", ()))

    def entry(_left: int | None) -> SecretBytes | None:
        pin = next(pins)
        return SecretBytes(pin.encode()) if pin else None

    steps = (
        start_tap(data, given)
        if row.get("tap")
        else start_transaction(data, given, entry, random_bytes)
    )
    outcome: KernelOutcome = drive(steps, layer)
    wrong = _compare(
        row["expect"],
        [
            outcome.kind.value, outcome.reason.code, outcome.tvr.hex().upper(),
            outcome.tsi.hex().upper(), outcome.cvm_results.hex().upper(),
        ],
    )  # fmt: skip
    if list(pins):
        wrong.append("not every PIN was asked for")
    if outcome.context is None:
        return wrong if "then" not in row else [*wrong, "there is nothing to complete"]
    good = outcome.de55["9F26"] == expected_arqc(outcome.de55)
    if good != (row.get("arqc", "good") == "good"):
        wrong.append(f"the cryptogram is {'good' if good else 'wrong'}")
    if outcome.de55["95"] != outcome.tvr or outcome.pan != PAN:
        wrong.append("DE55 or card number")
    return wrong + (_wrong_end(row, outcome, layer) if "then" in row else [])


def _wrong_end(row: Row, outcome: KernelOutcome, layer: FaultLayer) -> list[str]:
    assert outcome.context is not None
    host = row.get("host", {})
    arc = host.get("arc", "00")
    if row.get("tap"):
        end = finish_tap(outcome.context, arc)
    else:
        good = issuer_answer(outcome.de55, arc)
        answers = {
            "good": good,
            "wrong": bytes((good[0] ^ 1,)) + good[1:],
            "other": issuer_answer(outcome.de55, "05"),
            "none": None,
            "short": good[:7],
            "long": good + bytes(6),
        }
        if host.get("answer") == "no host":
            end = drive(unable_to_go_online(outcome.context), layer)
        else:
            answer = answers[host.get("answer", "good")]
            end = drive(complete_online(outcome.context, arc, answer), layer)
    given = [
        end.kind.value, end.reason.code, end.tvr.hex().upper(), end.tsi.hex().upper(),
        end.must_reverse,
    ]  # fmt: skip
    return _compare(row["then"], given)


def _compare(expected: list[Any], given: list[Any]) -> list[str]:
    return [
        f"{have!r} in place of {want!r}"
        for want, have in zip(expected, given, strict=False)
        if want not in ("", have)
    ]


def drive(steps: Generator[CommandApdu, ResponseApdu, Any], layer: FaultLayer) -> Any:
    """Drive a kernel generator over a T=1 card with faults that always let it answer."""
    try:
        command = next(steps)
        while True:
            reaction = layer.exchange(command.encoded())
            assert reaction.kind is ReactionKind.ANSWER, "mute and torn cards: test_kernel_link"
            command = steps.send(ResponseApdu.parse(reaction.data))
    except StopIteration as stop:
        return stop.value


def _image(row: Row) -> CardImage:
    person = dict(row.get("person", {}))
    for name in ("expiry", "effective"):
        if name in person:
            person[name] = datetime.date.fromisoformat(person[name])
    image = _personalised(
        row.get("profile", "ssn"), tuple(person.items()), tuple(row.get("signer", {}).items())
    )
    if tags := row.get("transplant"):
        other = _personalised(row["profile"], (("pan", OTHER_PAN),), ())
        for tag in tags:
            image = put(tag, _object(other, tag))(image)
    for tag, value in row.get("put", {}).items():
        image = put(tag, None if value == "-" else value)(image)
    for tag, value in row.get("add", ()):
        image = add(tag, value)(image)
    changes = {
        name: bytes.fromhex(value) if isinstance(value, str) else value
        for name, value in row.get("application", {}).items()
    }
    state = replace(image.applications[0].state, **row.get("state", {}))
    return replace(
        with_application(image, state=state, **changes), blocked=row.get("blocked", False)
    )


@cache
def _personalised(
    profile: str, person: tuple[tuple[str, Any], ...], signer: tuple[tuple[str, Any], ...]
) -> CardImage:
    arguments = dict(person)
    changes = dict(signer)
    if changes:
        authority = published_authority()
        if "identifier" in changes:
            changes["certificate"] = authority.certificate(changes.pop("identifier"))
        if changes.pop("keys", True) is False:
            changes["card_keys"] = ()
        arguments["signer"] = authority.signer(PAN, **changes)
    return make_image(profile, **arguments)


def _object(image: CardImage, tag: str) -> str:
    from protocols.emv import tlv

    for record in image.applications[0].records.values():
        inner = tlv.parse_flat(tlv.parse_flat(record)["70"])
        if tag in inner:
            return inner[tag].hex()
    raise AssertionError(tag)


def _given(row: Row) -> TransactionInput:
    changes = dict(row.get("given", {}))
    if "unpredictable_number" in changes:
        changes["unpredictable_number"] = bytes.fromhex(changes["unpredictable_number"])
    return purchase(**changes)


def _terminal(row: Row) -> TerminalData:
    data = LABORATORY if row.get("terminal") == "laboratory" else TERMINAL
    changes: dict[str, Any] = {}
    for name, value in row.get("set", {}).items():
        if name == "ca_keys":
            changes[name] = () if value == "none" else _foreign(data.ca_keys)
        else:
            changes[name] = bytes.fromhex(value) if isinstance(value, str) else value
    return replace(data, **changes)


def _foreign(keys: tuple[CaPublicKey, ...]) -> tuple[CaPublicKey, ...]:
    """Give the same indices with another key: the issuer's in place of the CA's."""
    return tuple(replace(key, key=published_authority().issuer.public) for key in keys)
