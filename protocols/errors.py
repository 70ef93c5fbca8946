"""Operating errors: the second of the three kinds of "no" (STYLE.md).

A refusal is a value (`protocols.refusals`). A bug is an assertion and stops the process. Between
them stand faults of peers, files and devices: typed exceptions with a text for people outside and
one for the log. Neither text ever holds card data, a PIN, a key or a person's number.
"""


class LumbungError(Exception):
    """A fault of the outside world, said once and clearly.

    `external` is for the person at the counter or the command line: what, where, how to mend.
    `internal` adds what the log needs. `code` is a stable name such as `E-SW-0107`.
    """

    code = "E-LB-0000"

    def __init__(self, external: str, *, internal: str = "", fix: str = "") -> None:
        """Keep the three texts; `str(error)` gives the external text with its fix."""
        super().__init__(external)
        self.external = external
        self.internal = internal or external
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.external} {self.fix}".rstrip()


class ConfigurationError(LumbungError):
    """A configuration or data file is wrong; `external` begins with `file:line:`."""

    code = "E-CF-0001"
