"""Operating errors of the programme: what, where and how to mend; never a name, NIK or card number.

Codes are stable: `E-PG-00xx` registry, `E-PG-01xx` keystore, `E-PG-02xx` decree files,
`E-PG-03xx` money, `E-PG-04xx` reports.
"""

from protocols.errors import LumbungError


class RegistryForeignError(LumbungError):
    """The file is not a registry of ours."""

    code = "E-PG-0001"


class RegistryVersionError(LumbungError):
    """The registry was written by another version of the programme."""

    code = "E-PG-0002"


class RegistryKeyError(LumbungError):
    """The registry was made with other keys than those given."""

    code = "E-PG-0003"


class RegistryBusyError(LumbungError):
    """Another process holds the registry, or its disk refuses; nothing was changed."""

    code = "E-PG-0004"


class NotFoundError(LumbungError):
    """The registry has no such person, card, shop, terminal or decree."""

    code = "E-PG-0010"


class RuleError(LumbungError):
    """The change is against a rule of the programme; nothing was changed."""

    code = "E-PG-0011"


class DuplicateError(LumbungError):
    """The same person, family, card, shop or terminal is there already; nothing was changed."""

    code = "E-PG-0012"


class KeystoreForeignError(LumbungError):
    """The file is not a keystore of ours, is of another version, or was altered."""

    code = "E-PG-0101"


class KeystoreMasterKeyError(LumbungError):
    """The master key is not the one this keystore was made with."""

    code = "E-PG-0102"


class KeystoreConflictError(LumbungError):
    """Another process changed or is changing the keystore; nothing was changed."""

    code = "E-PG-0103"


class KeyNotFoundError(LumbungError):
    """The keystore has no key with this label."""

    code = "E-PG-0104"


class KeyRefusedError(LumbungError):
    """The key or label may not be stored: wrong length, taken label, differing check value."""

    code = "E-PG-0105"


class DisbursementError(LumbungError):
    """The disbursement may not start or did not end well; a rerun credits nobody twice."""

    code = "E-PG-0301"


class TrancheError(LumbungError):
    """A ledger entry of a card cannot be explained by the rules of tranches."""

    code = "E-PG-0302"


class ChartError(LumbungError):
    """The ledger refused an account of the chart."""

    code = "E-PG-0303"


class ReportError(LumbungError):
    """A report could not be made of one state of the books."""

    code = "E-PG-0401"
