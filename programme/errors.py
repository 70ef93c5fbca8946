"""Operating errors of the programme: what, where and how to mend; never a name, NIK or card number.

Codes are stable: `E-PG-00xx` registry, `E-PG-01xx` keystore, `E-PG-02xx` decree files,
`E-PG-03xx` money, `E-PG-04xx` reports.
"""

from typing import Self

from protocols.catalogue import LANGUAGES, text
from protocols.errors import LumbungError


class ProgrammeError(LumbungError):
    """An error that is said from the catalogue, in Bahasa and in English.

    `key` names its sentence (empty for one that is said in English only), `values` fill it: a front
    may say it in one language alone.
    """

    def __init__(
        self,
        external: str,
        *,
        internal: str = "",
        fix: str = "",
        key: str = "",
        values: dict[str, object] | None = None,
    ) -> None:
        """Keep the texts and the key that they came from."""
        super().__init__(external, internal=internal, fix=fix)
        self.key = key
        self.values = values or {}

    @classmethod
    def of(cls, key: str, **values: object) -> Self:
        """Give the error whose sentence stands under a key of the catalogue.

        >>> str(NotFoundError.of("programme.card_unknown", card=3))
        'kartu 3 tidak terdaftar / card 3 is not registered'
        """
        said = " / ".join(text(key, lang, **values) for lang in LANGUAGES)
        return cls(said, key=key, values=values)

    def said(self, lang: str) -> str:
        """Give the sentence in one language, or the whole text where there is no key."""
        return text(self.key, lang, **self.values) if self.key else str(self)


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


class NotFoundError(ProgrammeError):
    """The registry has no such person, card, shop, terminal or decree."""

    code = "E-PG-0010"


class RuleError(ProgrammeError):
    """The change is against a rule of the programme; nothing was changed."""

    code = "E-PG-0011"


class DuplicateError(ProgrammeError):
    """The same person, family, card, shop or terminal is there already; nothing was changed."""

    code = "E-PG-0012"


class RoleError(RuleError):
    """The agency of the actor may not do this (roles.toml); nothing was changed."""

    code = "E-PG-0013"


class ProposalError(RuleError):
    """A proposal may not be made, approved or carried out as it stands; nothing was changed."""

    code = "E-PG-0014"


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


class DisbursementError(ProgrammeError):
    """The disbursement may not start or did not end well; a rerun credits nobody twice."""

    code = "E-PG-0301"


class TrancheError(LumbungError):
    """A ledger entry of a card cannot be explained by the rules of tranches."""

    code = "E-PG-0302"


class ChartError(LumbungError):
    """The ledger refused an account of the chart."""

    code = "E-PG-0303"


class ReportError(ProgrammeError):
    """A report could not be made of one state of the books."""

    code = "E-PG-0401"
