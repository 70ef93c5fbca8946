"""Answers of the host, read strictly: what does not read back as expected is no answer.

Matching (STAN, RRN, terminal) comes first, then the MAC over the raw bytes, then the content.
"""

from dataclasses import dataclass

from protocols.crypto import tr31
from protocols.crypto.mac import verify_mac
from protocols.iso8583 import Message, MessageError, PureCodec
from protocols.values import SEN_PER_RUPIAH, SecretBytes
from terminal.journal.records import (
    Answer,
    Intent,
    LastPurchase,
    LoggedOn,
    MonthLeft,
    StatementLine,
    Totals,
)
from terminal.journal.transactions import APPROVALS
from terminal.keystore import SessionKeys

_FOOD, _AVAILABLE = "98", "02"
#: TR-31 usage, algorithm and modes of the two session keys. Source: X9.143:2021, 6.
_MAC_USE = {"usage": "M3", "algorithm": "T", "modes": "CGV"}
_PIN_USE = {"usage": "P0", "algorithm": "T", "modes": "BE"}


class UnreadableAnswerError(Exception):
    """The bytes are no message of the dialect, or an element does not say what it must."""


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """A decoded answer with its raw bytes and the split of its MAC, if it has one."""

    message: Message
    covered: bytes
    mac: bytes

    @classmethod
    def read(cls, codec: PureCodec, raw: bytes) -> "HostAnswer":
        """Decode; raise UnreadableAnswerError."""
        try:
            message = codec.decode(raw)
            split = codec.split_mac(raw)
        except MessageError as wrong:
            raise UnreadableAnswerError(str(wrong.path)) from wrong
        covered, mac = split if split is not None else (b"", b"")
        return cls(message, covered, mac)

    @property
    def response_code(self) -> str:
        """Give DE39, empty when there is none."""
        return self._text(39)

    @property
    def stan(self) -> int:
        """Give DE11 as a number, 0 when there is none."""
        return int(self._text(11) or "0")

    @property
    def rrn(self) -> str:
        """Give DE37."""
        return self._text(37)

    def fits(self, mti: str, stan: int, rrn: str, terminal_id: str) -> bool:
        """Tell whether this answers the request that carried these numbers."""
        return (
            self.message.mti == mti
            and self.stan == stan
            and self.rrn == rrn
            and self._text(41).rstrip() == terminal_id
            and len(self.response_code) == 2
        )

    def mac_is_good(self, key: SecretBytes) -> bool:
        """Check the MAC over the raw bytes; an answer without one is not good."""
        return bool(self.mac) and verify_mac(key, self.covered, self.mac)

    @property
    def issuer_data(self) -> dict[str, bytes]:
        """Give the chip objects of DE55 for the card: 91, 71, 72, 8A."""
        parts = self.message.parts(55)
        return {tag: value for tag, value in parts.items() if isinstance(value, bytes)}

    def record(self, intent: Intent, received_ns: int) -> Answer:
        """Give what the journal keeps; raise UnreadableAnswerError when it cannot be ours.

        An approval must name the amount that was asked for; only DE39 10 may name less.
        """
        code = self.response_code
        try:
            amount = int(self._text(4) or "0")
            if intent.kind.counts and code in APPROVALS:
                _check_amount(code, amount, intent.amount_sen)
            return Answer(
                stan=intent.stan,
                response_code=code,
                received_ns=received_ns,
                amount_sen=amount,
                approval_code=self._text(38).strip(),
                reason=self._text(44).strip(),
                balance_sen=self._balance(),
                months=self._months(),
                planned_on=_iso_date(self._part("planned_date")),
                last_purchases=self._last_purchases(),
                slip_code=self._part("slip_code"),
                statement=self._statement(),
                totals=self._totals(),
                planned_sen=_whole_rupiah(int(self._part("planned_amount") or "0")),
                paid_on=_iso_date(self._part("payout_date")),
            )
        except (MessageError, ValueError, KeyError, TypeError) as wrong:
            raise UnreadableAnswerError("an element of the answer") from wrong

    def session_keys(self, tmk: SecretBytes) -> SessionKeys:
        """Give the key set of a key change answer.

        Raises MessageError, KeyBlockError or KeyRefusedError when it brings no good one.
        """
        mac_header, mac = tr31.unwrap(tmk, self.message.text(48, "mac"))
        mac_header.require(**_MAC_USE)
        pin_header, pin = tr31.unwrap(tmk, self.message.text(48, "pin"))
        pin_header.require(**_PIN_USE)
        return SessionKeys(self.message.text(61, "key_set"), mac, pin)

    def logged_on(self, intent: Intent, now_ns: int) -> LoggedOn:
        """Give what a log-on answer says of the shop; empty where it says nothing."""
        shop = self.message.parts(63).get("shop")
        heading = shop if isinstance(shop, dict) else {}
        log_on = self.message.parts(61).get("log_on")
        return LoggedOn(
            merchant_id=intent.merchant_id,
            operator=intent.operator,
            log_on=str(log_on or ""),
            shop_name=str(heading.get("name", "")).strip(),
            shop_place=str(heading.get("place", "")).strip(),
            logged_on_ns=now_ns,
        )

    def _balance(self) -> int | None:
        for group in self.message.groups(54):
            if group["account_type"] == _FOOD and group["amount_type"] == _AVAILABLE:
                sign = -1 if group["sign"] == "D" else 1
                return _whole_rupiah(sign * int(str(group["amount"])))
        return None

    def _months(self) -> tuple[MonthLeft, ...]:
        months = []
        for group in self.message.groups(63, "months"):
            period, amount = str(group["period"]), int(str(group["amount"]))
            if not 1 <= int(period[4:]) <= 12:
                raise ValueError("a month of DE63 is none")
            months.append(
                MonthLeft(period=f"{period[:4]}-{period[4:]}", amount_sen=_whole_rupiah(amount))
            )
        return tuple(months)

    def _last_purchases(self) -> tuple[LastPurchase, ...]:
        found = self.message.parts(63).get("last_purchase")
        if not isinstance(found, dict):
            return ()
        return (
            LastPurchase(
                date=_iso_date(str(found["date"])),
                amount_sen=_whole_rupiah(int(str(found["amount"]))),
                shop=str(found["shop"]).strip(),
            ),
        )

    def _statement(self) -> tuple[StatementLine, ...]:
        lines = []
        for group in self.message.groups(48, "statement"):
            sign = -1 if group["sign"] == "D" else 1
            lines.append(
                StatementLine(
                    date=_iso_date(str(group["date"])),
                    amount_sen=sign * _whole_rupiah(int(str(group["amount"]))),
                    shop=str(group["shop"]).strip(),
                )
            )
        return tuple(lines)

    def _totals(self) -> tuple[Totals, ...]:
        found = self.message.parts(63).get("totals")
        if not isinstance(found, dict):
            return ()
        numbers = {name: int(str(value)) for name, value in found.items()}
        return (
            Totals(
                sales=numbers["sales"],
                sales_sen=numbers["sales_amount"],
                voids=numbers["voids"],
                voids_sen=numbers["voids_amount"],
                refunds=numbers["refunds"],
                refunds_sen=numbers["refunds_amount"],
            ),
        )

    def _part(self, name: str) -> str:
        found = self.message.parts(63).get(name, "")
        return found if isinstance(found, str) else ""

    def _text(self, number: int) -> str:
        found = self.message.get(number, "")
        return found if isinstance(found, str) else ""


def _check_amount(code: str, amount_sen: int, asked_sen: int) -> None:
    if code == "00" and amount_sen != asked_sen:
        raise ValueError("an approval names another amount")
    if code == "10" and not 0 < amount_sen <= asked_sen:
        raise ValueError("a partial approval names more than was asked for")


def _whole_rupiah(amount_sen: int) -> int:
    """Give the amount without loose sen: people only ever see whole rupiah."""
    return amount_sen - amount_sen % SEN_PER_RUPIAH


def _iso_date(digits: str) -> str:
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 else ""
