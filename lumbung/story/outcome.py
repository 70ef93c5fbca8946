"""What a story gives: its steps, and the ledger's state after it, for people and as JSON."""

from dataclasses import dataclass, field
from typing import Any

from ledger.port import VerifyReport
from programme.equations import Equation
from protocols.values import rupiah


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened. `expected` is what the law and the design want (DE39 or a word).

    Amounts are sen; `transfer_id` is 32 hex digits or empty. Nothing here depends on the machine's
    speed, so two runs of one seed give equal steps.
    """

    name: str
    what: str
    expected: str
    outcome: str
    terminal_id: str = ""
    card: str = ""
    amount_sen: int = 0
    stan: int = 0
    rrn: str = ""
    approval_code: str = ""
    transfer_id: str = ""
    reason: str = ""
    balance_sen: int | None = None
    note: str = ""

    @property
    def as_expected(self) -> bool:
        """Tell whether the outcome is the expected one."""
        return self.outcome == self.expected

    def line(self) -> str:
        """Give one line for people."""
        mark = "ok " if self.as_expected else "NOT"
        money = f"Rp{rupiah(self.amount_sen):>9}" if self.amount_sen else " " * 11
        tail = [self.note] if self.note else []
        if self.balance_sen is not None:
            tail.append(f"saldo Rp{rupiah(self.balance_sen)}")
        if self.reason:
            tail.append(self.reason)
        wanted = "" if self.as_expected else f" (expected {self.expected})"
        return f"{mark} {self.outcome:<9} {money}  {self.what}{wanted}  {', '.join(tail)}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Give the step as JSON values, empty ones left out."""
        values: dict[str, Any] = {
            "step": self.name, "outcome": self.outcome, "expected": self.expected,
            "terminal": self.terminal_id, "card": self.card, "amount_sen": self.amount_sen,
            "stan": self.stan, "rrn": self.rrn, "approval_code": self.approval_code,
            "transfer_id": self.transfer_id, "reason": self.reason, "note": self.note,
        }  # fmt: skip
        kept = {name: value for name, value in values.items() if value not in ("", 0)}
        if self.balance_sen is not None:
            kept["balance_sen"] = self.balance_sen
        return kept


@dataclass(slots=True)
class StoryOutcome:
    """Everything a run of the story gave."""

    seed: int
    day: int
    business_date: str
    steps: list[Step] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    verified: VerifyReport | None = None
    engine: str = ""
    receipt: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether every step, every equation and the ledger are as they must be."""
        return (
            bool(self.steps)
            and all(step.as_expected for step in self.steps)
            and bool(self.equations)
            and all(equation.holds for equation in self.equations)
            and self.verified is not None
            and self.verified.sum_minor == 0
        )

    def as_json(self) -> dict[str, Any]:
        """Give the whole as JSON values; `story` depends on the seed and the day alone."""
        report = self.verified
        return {
            "ok": self.ok,
            "seed": self.seed,
            "day": self.day,
            "business_date": self.business_date,
            "story": [step.as_json() for step in self.steps],
            "ledger": {
                "sum": report.sum_minor if report else None,
                "verified": report is not None,
                "engine": self.engine,
                "records": report.records if report else 0,
                "transfers": report.transfers if report else 0,
                "refusals": report.refusals if report else 0,
                "root_hash": report.root_hash.hex() if report else "",
                "equations": [
                    {"name": e.name, "left_sen": e.left_sen, "right_sen": e.right_sen,
                     "holds": e.holds, "detail": e.detail}
                    for e in self.equations
                ],
            },
        }  # fmt: skip

    def summary(self) -> list[str]:
        """Give the closing lines for people."""
        lines = []
        for equation in self.equations:
            mark = "ok " if equation.holds else "NOT"
            both = f"Rp{rupiah(equation.left_sen)} = Rp{rupiah(equation.right_sen)}"
            lines.append(f"{mark} {equation.name}: {both}")
        if self.verified:
            v = self.verified
            lines.append(
                f"ok  ledger reopened from disk and verified: {v.records} records, "
                f"{v.transfers} transfers, {v.refusals} refusals, sum {v.sum_minor}, "
                f"root {v.root_hash.hex()[:16]}"
            )
        good = sum(step.as_expected for step in self.steps)
        lines.append(
            f"{good} of {len(self.steps)} steps as expected, "
            f"{sum(e.holds for e in self.equations)} of {len(self.equations)} equations hold: "
            f"{'LUMBUNG IS SOUND' if self.ok else 'SOMETHING IS WRONG'}"
        )
        return lines
