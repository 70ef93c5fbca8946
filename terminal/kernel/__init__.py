"""The EMV kernel, contact and tap: every step a function, every transaction a generator.

`start_transaction` and `complete_online` yield command APDUs, are sent response APDUs and return
an outcome. No I/O, no clock, no randomness; `terminal.card_link` drives them over a card channel.
"""

from terminal.kernel.completion import complete_online, give_up, unable_to_go_online
from terminal.kernel.configuration import (
    TerminalApplication,
    TerminalData,
    TransactionInput,
    default_terminal_data,
)
from terminal.kernel.context import KernelContext
from terminal.kernel.laboratory import known_ca_keys, laboratory_terminal_data
from terminal.kernel.mirror import read_balance_mirror
from terminal.kernel.offline_pin import enter_offline_pin
from terminal.kernel.outcomes import (
    CompletionKind,
    CompletionOutcome,
    KernelOutcome,
    OutcomeKind,
)
from terminal.kernel.reasons import Reason, reason
from terminal.kernel.tap import finish_tap, start_tap
from terminal.kernel.transaction import (
    PinEntry,
    authorise,
    pin_not_entered,
    prepare_transaction,
    start_transaction,
)

__all__ = [
    "CompletionKind",
    "CompletionOutcome",
    "KernelContext",
    "KernelOutcome",
    "OutcomeKind",
    "PinEntry",
    "Reason",
    "TerminalApplication",
    "TerminalData",
    "TransactionInput",
    "authorise",
    "complete_online",
    "default_terminal_data",
    "enter_offline_pin",
    "finish_tap",
    "give_up",
    "known_ca_keys",
    "laboratory_terminal_data",
    "pin_not_entered",
    "prepare_transaction",
    "read_balance_mirror",
    "reason",
    "start_tap",
    "start_transaction",
    "unable_to_go_online",
]
