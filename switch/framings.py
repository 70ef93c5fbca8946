"""Framings of links by name: what `switch.toml` may say of where a message begins and ends."""

from dataclasses import replace

from protocols.framing import BANK_FRAMES, EDC_FRAMES, FrameSpec
from switch.limits import FRAME_BYTES_MAX

_NO_TPDU = FrameSpec(tpdu_size=0)

#: Name -> form. `edc` and `bank` are the dialects' own; the rest is what hosts in the field have.
#: Source: switch.md 2.6 (framing row), 4.1.
FRAMINGS: dict[str, FrameSpec] = {
    name: replace(spec, body_max=FRAME_BYTES_MAX)
    for name, spec in {
        "edc": EDC_FRAMES,
        "bank": BANK_FRAMES,
        "big-endian-2": _NO_TPDU,
        "big-endian-2-inclusive": replace(_NO_TPDU, includes_self=True),
        "big-endian-4": replace(_NO_TPDU, length_size=4),
        "little-endian-2": replace(_NO_TPDU, length_encoding="little-endian"),
        "bcd-2": replace(_NO_TPDU, length_encoding="bcd"),
        "bcd-2-tpdu": replace(EDC_FRAMES, length_encoding="bcd"),
        "ascii-4-inclusive": replace(BANK_FRAMES, includes_self=True),
    }.items()
}


def framing_of(name: str, spec: str) -> FrameSpec:
    """Give the framing with this name; an empty name means that of the dialect."""
    return FRAMINGS[name or (spec if spec in FRAMINGS else "edc")]
