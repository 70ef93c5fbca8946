"""XML for foreign files: elements and attributes only, no entity, no default value, all bounded.

A DOCTYPE that names an outer DTD is allowed, because jPOS writes one, and the DTD is never read.
One inside the file may only say which elements and attributes there are: entities and values by
default could make a small file a large one.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

from protocols.iso8583.importers.errors import SpecImportError
from protocols.iso8583.importers.limits import (
    ATTRIBUTES_MAX,
    FIELDS_MAX,
    FILE_BYTES_MAX,
    NESTING_MAX,
)


@dataclass(slots=True)
class XmlElement:
    """One element: its name, attributes, children, and the line it begins on."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list["XmlElement"] = field(default_factory=list)


class _Builder:
    def __init__(self, parser: expat.XMLParserType) -> None:
        self.parser = parser
        self.root: XmlElement | None = None
        self.open: list[XmlElement] = []
        self.count = 0

    def refuse(self, what: str) -> None:
        raise SpecImportError(f"line {self.parser.CurrentLineNumber}: {what}")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > FIELDS_MAX:
            self.refuse(f"more than {FIELDS_MAX} elements.")
        if len(self.open) >= NESTING_MAX:
            self.refuse(f"elements nested more than {NESTING_MAX} deep.")
        if len(attributes) > ATTRIBUTES_MAX:
            self.refuse(f"an element with more than {ATTRIBUTES_MAX} attributes.")
        element = XmlElement(tag, attributes, self.parser.CurrentLineNumber)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, tag: str) -> None:
        self.open.pop()

    def attribute(
        self, element: str, name: str, kind: str, default: str | None, required: int
    ) -> None:
        if default is not None:
            self.refuse("values by default are not read; write them out.")

    def declared(self, name: str, *_: object) -> None:
        self.refuse("entities are not read; write the text out.")

    def entity(self, name: str, is_parameter: bool) -> None:
        self.refuse("entities are not read; write the text out.")


def read_xml(text: str) -> XmlElement:
    """Give the root element.

    Raises: SpecImportError for XML that is broken, beyond the limits, or that has entities or
    values by default.
    """
    raw = text.encode("utf-8")
    if len(raw) > FILE_BYTES_MAX:
        raise SpecImportError(f"the file is larger than {FILE_BYTES_MAX} bytes.")
    parser = expat.ParserCreate("utf-8")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    builder = _Builder(parser)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.AttlistDeclHandler = builder.attribute
    parser.EntityDeclHandler = builder.declared
    parser.SkippedEntityHandler = builder.entity
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)
        raise SpecImportError(f"line {error.lineno}: not XML ({why}).") from None
    if builder.root is None:
        raise SpecImportError("the file holds no XML element.")
    return builder.root
