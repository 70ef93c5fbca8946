"""The linter's last step: every example of a spec must survive its own encoding."""

from collections.abc import Iterator

from protocols.iso8583.errors import MessageError
from protocols.iso8583.lint import Problems
from protocols.iso8583.model import Element, Spec
from protocols.iso8583.pack import pack_element
from protocols.iso8583.walk import Walk


def all_elements(spec: Spec) -> Iterator[Element]:
    """Give every element and sub-element of a spec, parents first."""
    stack = list(spec.elements.values())[::-1]
    while stack:
        element = stack.pop()
        yield element
        stack.extend(reversed(element.sub))


def meaning_of(element: Element, value: str) -> str | None:
    """Give what a coded value means: exact, or by its first two characters; None when unknown."""
    return element.codes.get(value) or element.codes.get(value[:2])


def check_examples(spec: Spec, problems: Problems) -> None:
    """Note every element whose example does not encode, or comes back as something else."""
    for element in spec.elements.values():
        path = f"elements.{element.path}"
        try:
            raw = pack_element(element, element.example, 0)  # type: ignore[arg-type]
            value, end = Walk(spec, raw).element(element, 0, len(raw), 0)
        except MessageError as error:
            toml_path = "elements." + error.path.replace(".", ".sub.")
            problems.add(toml_path, f"its example is refused: {error}", "mend the example")
            continue
        if value != element.example or end != len(raw):
            problems.add(path, "its example does not come back the same", "mend example or form")
    for element in all_elements(spec):
        path = "elements." + element.path.replace(".", ".sub.")
        example = element.example
        if element.codes and isinstance(example, str) and meaning_of(element, example) is None:
            problems.add(path, "its example is none of its codes", "use a code that is listed")
