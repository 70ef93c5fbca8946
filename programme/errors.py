"""Operating errors of the programme: what, where and how to mend; never a name, NIK or card number.

Codes are stable: `E-PG-00xx` registry, `E-PG-01xx` keystore, `E-PG-02xx` decree files,
`E-PG-03xx` money, `E-PG-04xx` reports.
"""

from collections.abc import Mapping
from typing import Protocol, Self, cast

from protocols.catalogue import LANGUAGES, text
from protocols.errors import LumbungError


class Said(Protocol):
    """A part of a sentence that has its own words in each language."""

    def said(self, lang: str = "id") -> str:
        """Give it in one language."""


class ProgrammeError(LumbungError):
    """An error that is said from the catalogue, in Bahasa and in English: made by `of`.

    `key` names its sentence, `values` fill it: a front may say it in one language alone.
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
    def of(cls, key: str, *, internal: str = "", **values: object) -> Self:
        """Give the error whose sentence stands under a key of the catalogue.

        A value may be `Said` itself; `internal` is for the log.

        >>> str(NotFoundError.of("programme.card_unknown", card=3))
        'kartu 3 tidak terdaftar / card 3 is not registered'
        """
        said = " / ".join(_said(key, lang, values) for lang in LANGUAGES)
        return cls(said, internal=internal, key=key, values=values)

    def said(self, lang: str) -> str:
        """Give the sentence in one language, or the whole text where there is no key."""
        return _said(self.key, lang, self.values) if self.key else str(self)


def _said(key: str, lang: str, values: Mapping[str, object]) -> str:
    in_lang = {
        name: value if isinstance(value, str | int) else cast(Said, value).said(lang)
        for name, value in values.items()
    }
    return text(key, lang, **in_lang)


class RegistryForeignError(ProgrammeError):
    """The file is not a registry of ours."""

    code = "E-PG-0001"


class RegistryVersionError(ProgrammeError):
    """The registry was written by another version of the programme."""

    code = "E-PG-0002"


class RegistryKeyError(ProgrammeError):
    """The registry was made with other keys than those given."""

    code = "E-PG-0003"


class RegistryBusyError(ProgrammeError):
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


class KeystoreForeignError(ProgrammeError):
    """The file is not a keystore of ours, is of another version, or was altered."""

    code = "E-PG-0101"


class KeystoreMasterKeyError(ProgrammeError):
    """The master key is not the one this keystore was made with."""

    code = "E-PG-0102"


class KeystoreConflictError(ProgrammeError):
    """Another process changed or is changing the keystore; nothing was changed."""

    code = "E-PG-0103"


class KeyNotFoundError(ProgrammeError):
    """The keystore has no key with this label."""

    code = "E-PG-0104"


class KeyRefusedError(ProgrammeError):
    """The key or label may not be stored: wrong length, taken label, differing check value."""

    code = "E-PG-0105"


class DisbursementError(ProgrammeError):
    """The disbursement may not start or did not end well; a rerun credits nobody twice."""

    code = "E-PG-0301"


class TrancheError(ProgrammeError):
    """A ledger entry of a card cannot be explained by the rules of tranches."""

    code = "E-PG-0302"


class ChartError(ProgrammeError):
    """The ledger refused an account of the chart."""

    code = "E-PG-0303"


class ReportError(ProgrammeError):
    """A report could not be made of one state of the books."""

    code = "E-PG-0401"
