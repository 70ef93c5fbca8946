"""What card and kernel tests share: test cards, a driver in memory, the issuer's side."""

import datetime
import random
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from cardsim import ApplicationImage, Card, CardImage, personalise
from lumbung.testing import ScriptWriter
from protocols.business_time import WITA
from protocols.crypto import emv_keys
from protocols.crypto.cryptogram import (
    application_cryptogram,
    arpc_method1,
    arqc_data_nsiccs,
    issuer_cryptogram,
)
from protocols.emv.apdu import CommandApdu, ResponseApdu, t0_follow_up
from protocols.values import Pan, SecretBytes
from terminal.kernel import TransactionInput, default_terminal_data

IMK = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
IMK_MAC = SecretBytes(bytes.fromhex("1123456789ABCDEFFEDCBA9876543211"))
IMK_ENC = SecretBytes(bytes.fromhex("2123456789ABCDEFFEDCBA9876543212"))
PAN = Pan("9360099900000018")
PSN = "01"
TODAY = datetime.date(2026, 1, 5)
PIN = "123456"
TERMINAL = default_terminal_data(terminal_id="12400017", merchant_id="EW0000000000017")


class StillClock:
    """A clock that stands."""

    def now_ns(self) -> int:
        return 1_767_575_647 * 10**9

    def monotonic_ns(self) -> int:
        return 0


def make_image(profile: str = "ssn", *, seed: int = 1, **changes: Any) -> CardImage:
    """Personalise a test card; `changes` go to `personalise`."""
    arguments: dict[str, Any] = {
        "pan": PAN,
        "expiry": datetime.date(2030, 12, 31),
        "psn": PSN,
        "name": "SITI CONTOH",
        "udk_ac": emv_keys.icc_master_key(IMK, PAN, PSN),
        "udk_mac": emv_keys.icc_master_key(IMK_MAC, PAN, PSN),
        "udk_encipherment": emv_keys.icc_master_key(IMK_ENC, PAN, PSN),
        "pin": PIN,
        "balance_sen": 30_000_000,
        "balance_at": datetime.datetime(2026, 1, 5, 9, 14, 7, tzinfo=WITA),
        "random_bytes": random.Random(seed).randbytes,
    }
    return personalise(profile, **{**arguments, **changes})


def with_application(image: CardImage, **changes: Any) -> CardImage:
    """Give the image with its first application changed."""
    first = replace(image.applications[0], **changes)
    return replace(image, applications=(first, *image.applications[1:]))


def with_records(image: CardImage, change: Callable[[dict[Any, bytes]], None]) -> CardImage:
    """Give the image with its records changed in place by a function."""
    records = dict(image.applications[0].records)
    change(records)
    return with_application(image, records=records)


def make_card(image: CardImage | None = None, *, seed: int = 2) -> Card:
    """Give a powered card."""
    card = Card(image or make_image(), StillClock(), random.Random(seed).randbytes)
    card.power()
    return card


def application(card: Card) -> ApplicationImage:
    """Give the card's first application."""
    return card.image.applications[0]


def send(card: Card, text: str) -> str:
    """Send a command in hex, give the response in upper-case hex."""
    return card.apdu(bytes.fromhex(text)).hex().upper()


def answer_over(card: Card, command: CommandApdu) -> ResponseApdu:
    """Give the final answer to a command on T=0 or T=1."""
    if card.image.protocol == 1:
        return ResponseApdu.parse(card.apdu(command.encoded()))
    sent, answer = command, ResponseApdu.parse(card.apdu(command.encoded_t0()))
    warning = answer if answer.sw1 in (0x62, 0x63) else None
    while (following := t0_follow_up(sent, answer)) is not None:
        sent, answer = following, ResponseApdu.parse(card.apdu(following.encoded_t0()))
    return answer if warning is None else ResponseApdu(answer.data, warning.sw1, warning.sw2)


Tamper = Callable[[CommandApdu, ResponseApdu], ResponseApdu]


def drive(
    steps: Generator[CommandApdu, ResponseApdu, Any], card: Card, tamper: Tamper | None = None
) -> Any:
    """Drive a kernel generator over a card, `tamper` altering answers on the way."""
    try:
        command = next(steps)
        while True:
            answer = answer_over(card, command)
            if tamper is not None:
                answer = tamper(command, answer)
            command = steps.send(answer)
    except StopIteration as stop:
        return stop.value


def purchase(amount_sen: int = 14_150_000, **changes: Any) -> TransactionInput:
    """Give a purchase's input."""
    arguments: dict[str, Any] = {
        "amount_sen": amount_sen,
        "date": TODAY,
        "time": datetime.time(9, 14, 7),
        "type_code": "00",
        "unpredictable_number": bytes.fromhex("6901A5CB"),
        "transaction_sequence_counter": 345,
    }
    return TransactionInput(**{**arguments, **changes})


def expected_arqc(de55: dict[str, bytes]) -> bytes:
    """Recompute the cryptogram of a DE55 from the issuer's key."""
    return issuer_cryptogram(IMK, PAN, PSN, de55["9F36"], arqc_data_nsiccs(de55))


def issuer_answer(de55: dict[str, bytes], arc: str = "00") -> bytes:
    """Give tag 91: ARPC and response code."""
    key = emv_keys.common_session_key(emv_keys.icc_master_key(IMK, PAN, PSN), de55["9F36"])
    return arpc_method1(key, de55["9F26"], arc.encode()) + arc.encode()


def final_cryptogram(de55: dict[str, bytes], tvr: bytes, issuer_data: bytes) -> bytes:
    """Recompute the TC or AAC of the second GENERATE AC."""
    key = emv_keys.common_session_key(emv_keys.icc_master_key(IMK, PAN, PSN), de55["9F36"])
    data = arqc_data_nsiccs({**de55, "95": tvr, "9F10": issuer_data})
    return application_cryptogram(key, data)


class Scripter(ScriptWriter):
    """The script side of the issuer whose master keys the test cards have."""

    def __init__(self, first_cryptogram: bytes) -> None:
        mac_key, pin_key = (emv_keys.icc_master_key(key, PAN, PSN) for key in (IMK_MAC, IMK_ENC))
        udk_ac = emv_keys.icc_master_key(IMK, PAN, PSN)
        super().__init__(mac_key, pin_key, first_cryptogram, udk_ac=udk_ac)
