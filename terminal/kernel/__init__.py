"""The EMV contact kernel: every step a function, every transaction a generator of commands.

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
from terminal.kernel.mirror import read_balance_mirror
from terminal.kernel.outcomes import (
    CompletionKind,
    CompletionOutcome,
    KernelOutcome,
    OutcomeKind,
)
from terminal.kernel.reasons import Reason, reason
from terminal.kernel.transaction import (
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
    "Reason",
    "TerminalApplication",
    "TerminalData",
    "TransactionInput",
    "authorise",
    "complete_online",
    "default_terminal_data",
    "give_up",
    "pin_not_entered",
    "prepare_transaction",
    "read_balance_mirror",
    "reason",
    "start_transaction",
    "unable_to_go_online",
]
