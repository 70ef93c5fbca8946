"""Foreign specifications to our TOML: jPOS GenericPackager XML, moov JSON, pyiso8583 dictionaries.

`import_spec` gives a text that the linter accepts, and a list of everything that was not taken over
as it was. Nothing of a foreign file is run, fetched or trusted for its size.
"""

from collections.abc import Callable

from protocols.iso8583.importers.draft import Draft, Imported, LeftOut, checked_name, finish
from protocols.iso8583.importers.errors import SpecImportError
from protocols.iso8583.importers.jpos import read_jpos
from protocols.iso8583.importers.limits import FILE_BYTES_MAX
from protocols.iso8583.importers.moov import read_moov
from protocols.iso8583.importers.peer_dict import read_peer_dict

#: Form -> its reader.
FORMS: dict[str, Callable[[str, Draft], None]] = {
    "jpos": read_jpos,
    "moov": read_moov,
    "pyiso8583": read_peer_dict,
}


def form_of(text: str) -> str:
    """Give the form that a text looks like.

    >>> form_of("<isopackager/>"), form_of('{"fields": {}}'), form_of('{"h": {}}')
    ('jpos', 'moov', 'pyiso8583')
    """
    head = text.lstrip("\ufeff \t\r\n")
    if head.startswith("<"):
        return "jpos"
    return "moov" if head.startswith("{") and '"fields"' in head else "pyiso8583"


def import_spec(text: str, name: str, form: str = "") -> Imported:
    """Give a foreign specification in our words; `form` is guessed when left empty.

    Raises: SpecImportError when nothing of it can be taken over.
    """
    if len(text) > FILE_BYTES_MAX:
        raise SpecImportError(f"the file is larger than {FILE_BYTES_MAX} bytes.")
    form = form or form_of(text)
    draft = Draft(checked_name(name), f"a {form} specification")
    FORMS[form](text, draft)
    return finish(draft)


__all__ = ["FORMS", "Imported", "LeftOut", "SpecImportError", "form_of", "import_spec"]
