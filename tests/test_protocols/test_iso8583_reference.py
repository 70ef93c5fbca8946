"""The message reference leaves nothing out that a message uses."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_message_reference_names_every_element_that_a_message_uses() -> None:
    from protocols.iso8583 import load_spec

    written = (ROOT / "docs" / "reference" / "message.md").read_text("utf-8")
    for name in ("edc", "bank"):
        spec = load_spec(name)
        for use in spec.messages.values():
            for number in use.mandatory | use.optional:
                assert f"| **{number}** | {spec.elements[number].name}" in written
