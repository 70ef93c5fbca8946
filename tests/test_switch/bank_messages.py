"""Messages of the bank dialect for tests of links to hosts."""

from protocols.iso8583 import Codec, Message, load_spec

CODEC = Codec(load_spec("bank"))
SECOND = 10**9
WALL = 1_767_575_647 * SECOND


def sale(stan: int, **changes: str) -> Message:
    elements = {
        3: "009800", 4: "000000001300", 7: "0105011407", 11: f"{stan:06d}", 12: "091407",
        13: "0105", 18: "6017", 22: "051", 32: "124", 37: f"600509{stan:06d}", 41: "12400017",
        42: "EWSMDSGP0000017", 43: "E-WARONG UJI                            ", 49: "360",
    }  # fmt: skip
    return Message("0200", {**elements, **{int(n[2:]): v for n, v in changes.items()}}, CODEC.spec)
