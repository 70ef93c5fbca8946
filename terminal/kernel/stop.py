"""How a step ends a transaction before its time."""

from terminal.kernel.outcomes import OutcomeKind


class KernelStop(Exception):  # noqa: N818 - an outcome on its way out, not a fault of ours
    """A step found that the transaction ends here; the transaction functions make it a value.

    `code` names an entry of `reasons.toml`. Never leaves the kernel.
    """

    def __init__(self, kind: OutcomeKind, code: str) -> None:
        """Keep the outcome's kind and its reason's code."""
        super().__init__(code)
        self.kind = kind
        self.code = code


def card_error(code: str) -> KernelStop:
    """Give the stop for a card that breaks the rules."""
    return KernelStop(OutcomeKind.CARD_ERROR, code)
