"""The message reference as a page: its tutorial, and every table out of the specs (`make docs`)."""

from protocols.iso8583 import Codec, Element, Message, Spec, load_spec
from protocols.iso8583.pack import pack_element

TUTORIAL = """# Message reference

Generated from `protocols/specs/*.toml` by `make docs`; do not edit.

## ISO 8583 in five minutes

A message is a **message type**, a **bitmap** that says which elements follow, and the **data
elements** in the order of their numbers. Nothing on the wire names an element: both ends need the
same spec, which is why ours is a file that both read.

**Message type (MTI)**, four digits: version (`0` = 1987), class (`1` authorisation, `2` financial,
`3` file, here batch upload, `4` reversal, `5` settlement, `8` network), function (`0` request, `1`
its answer, `2` advice, `3` its answer), origin (`0` first, `1` repeat). So `0200` asks for a
purchase, `0210` answers it, `0400` takes it back, `0401` says so again.

**Bitmap**, 64 bits: bit 3 set means element 3 follows. Bit 1 set means that a second bitmap with
elements 65 to 128 follows the first.

**Elements** have a fixed length, or a length in front (LLVAR: two digits, LLLVAR: three). On `edc`
digits are packed two to a byte, an odd count begins with a zero half-byte, and the length of a
number counts digits, not bytes. Track 2 is packed too, `=` as `D`, an odd count ends in `F`.

{example}

**Element 55** carries the chip's data as BER-TLV: a tag (`9F26`), a length (`08`), that many bytes.
A tag whose first byte ends in five one-bits goes on in the next byte; a length of `81` or `82`
means that one or two length bytes follow. The tags are those of the EMV books. Elements 48 and 60
to 63 are tag, length, value as well, with our own tags: one byte of tag, two bytes of length.

**The MAC** is the last element, 64, or 128 when there is a second bitmap. {mac}

**Who finds whom.** An answer copies element 11 (trace number), 37 (reference), 41 (terminal) and
7 (time) of its request. A repeat copies them too, so the switch knows it; a reversal carries the
original's type, trace number and time in element 90.

In code:

```python
from protocols.iso8583 import Codec, Message, load_spec

codec = Codec(load_spec("edc"))
request = codec.decode(raw)              # strict: MessageError names element, byte and reason
request.text(11), request.text(60, "batch"), request.data(55, "9F26")
answer = request.response("00", de38="7K2M9Q")
raw = codec.encode_with_mac(answer, mac)
print(repr(request))                     # masked by the spec

lazy = codec.decode_lazy(raw)            # found, not read: lazy[11], lazy.wire(11), lazy.message()
head = codec.peek(raw, (3, 11, 41))      # these three; nothing behind the last is looked at
got = codec.receive(raw, keys)           # decode, keys of element 41's terminal, MAC: got.proof
raw = codec.encode_signed(answer, key)   # encode and retail MAC in one call
```

### Guarantees

- `decode` accepts a message or raises `MessageError` (element path, byte offset, reason, DE39 30);
  no other exception, and no content in its text.
- One message has one encoding: `encode(decode(raw)) == raw`, `decode(encode(m)) == m`. Refused
  are filler bytes, long forms of short lengths, an empty second bitmap, a tag that stands twice.
- A lazy message refuses at once what is wrong with MTI, bitmaps and lengths, and a value when it is
  read; its `message()` refuses all that `decode` refuses.
- `receive` uses nothing of a message but element 41 before its MAC holds, and says PROVED only when
  a key of that terminal made it over the bytes as they came. `receive_batch` does so for many.
- `mask` gives bytes as long as they came that decode and hold no card number, track, PIN block or
  name; what the spec does not know and what stands behind a fault is zero.
- The pure-Python and the native codec give the same values, bytes and errors.
- Tags that the spec does not know are kept under their hexadecimal tag.
- Refused are a message above 16,384 bytes, above 64 tags in one element, parts nested more than 4
  deep.

### Values

| kind | value in Python |
| --- | --- |
| text, digits, track2 | `str` (track 2 with `=`) |
| bytes, bitmap | `bytes` |
| tlv, ltv, ber-tlv, dataset, bitmapped, positional | `dict` by name (`ber-tlv` of DE55: by tag) |
| positional that repeats | `list` of such dicts |
"""


def page() -> str:
    """Give the whole page."""
    edc = load_spec("edc")
    parts = [TUTORIAL.format(example=_worked_example(edc), mac=edc.mac_note)]
    for name in ("edc", "bank"):
        parts += _spec(load_spec(name))
    return "\n".join(parts).rstrip() + "\n"


def _worked_example(spec: Spec) -> str:
    message = Message("0800", {7: "0105011407", 11: "000001", 41: "12400017", 70: "301"})
    raw = Codec(spec).encode(message).hex()
    rows = [("0800", "MTI"), (raw[4:20], "bitmap: 1, 7, 11, 41"), (raw[20:36], "second bitmap: 70")]
    place = 36
    for number, value in message.elements.items():
        size = len(pack_element(spec.elements[number], value, 0).hex())
        rows.append((raw[place : place + size], f"{number}: {spec.elements[number].name}"))
        place += size
    lines = "\n".join(f"{digits:<18}  {meaning}" for digits, meaning in rows)
    return f"An echo request of terminal 12400017, in hex:\n\n```text\n{lines}\n```"


def _spec(spec: Spec) -> list[str]:
    bitmap = "128 bits" if spec.bitmap_always_128 else "64 bits, 128 when needed"
    out = [
        f"## `{spec.name}`: {spec.title}",
        "",
        f"Version {spec.version}. MTI {spec.mti_encoding}.",
        f"Bitmap {spec.bitmap_encoding}, {bitmap}.",
        f"Source: {spec.source}.",
        "",
        f"MAC: {spec.mac_note}",
        "",
        *[f"- {note}" for note in spec.notes],
        "",
        f"### Messages of `{spec.name}`",
        "",
        "| MTI | use | DE3 / DE70 | mandatory | optional | source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for use in spec.messages.values():
        mti = f"{use.mti}, {use.repeat}" if use.repeat else use.mti
        codes = " ".join(sorted(use.processing_codes | use.network_codes))
        cells = [mti, use.title, codes, _numbers(use.mandatory), _numbers(use.optional), use.source]
        out.append(_row(cells))
    out += ["", f"### Elements of `{spec.name}`", "", *_elements_used(spec), ""]
    return out


def _elements_used(spec: Spec) -> list[str]:
    used: set[int] = set()
    for use in spec.messages.values():
        used |= use.mandatory | use.optional
    out = [
        "Elements that some message uses; the others stand in the spec file.",
        "",
        "| element | name | form | example | on the wire | source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    codes: list[str] = []
    for number in sorted(used):
        element = spec.elements[number]
        out += _element_rows(element, number)
        codes += _code_lines(element)
    return out + (["", f"#### Coded values of `{spec.name}`", "", *codes] if codes else [])


def _element_rows(element: Element, number: int) -> list[str]:
    wire = pack_element(element, element.example, 0).hex()  # type: ignore[arg-type]
    shown = "" if element.is_composite else _example(element)
    note = f"{element.name}. {element.note}" if element.note else element.name
    rows = [_row([f"**{number}**", note, _form(element), shown, _short(wire), element.source])]
    stack = list(element.sub)[::-1]
    while stack:
        sub = stack.pop()
        label = f"{sub.path} ({sub.tag})" if sub.tag and sub.tag != sub.key else sub.path
        text = f"{sub.name}. {sub.note}" if sub.note else sub.name
        shown = "" if sub.is_composite else _example(sub)
        rows.append(_row([label, text, _form(sub), shown, "", sub.source]))
        stack.extend(list(sub.sub)[::-1])
    return rows


def _code_lines(element: Element) -> list[str]:
    out: list[str] = []
    stack = [element]
    while stack:
        one = stack.pop()
        if one.codes:
            listed = "; ".join(f"`{code}` {meaning}" for code, meaning in one.codes.items())
            out.append(f"- **{one.path}** {listed}")
        stack.extend(one.sub[::-1])
    return out


def _form(element: Element) -> str:
    parts = [element.kind.value]
    if not element.is_composite or element.encoding != "ascii":
        parts.append(element.encoding)
    if element.is_composite and element.repeats > 1:
        parts.append(f"up to {element.repeats} times")
    length = f"{element.maximum}" if element.minimum == element.maximum else f"..{element.maximum}"
    if not (element.is_composite and element.prefix is None and element.tag == ""):
        parts.append(length)
    if element.prefix is not None:
        prefix = element.prefix
        parts.append(f"length {prefix.width} {prefix.encoding}, counts {prefix.counts}")
    if element.kind.value == "text":
        parts.append(element.charset)
    if element.sensitive.value != "none":
        parts.append(f"sensitive: {element.sensitive.value}")
    return ", ".join(parts)


def _example(element: Element) -> str:
    value = element.example
    return f"`{value.hex().upper() if isinstance(value, bytes) else value}`"


def _short(wire: str) -> str:
    return f"`{wire}`" if len(wire) <= 48 else f"`{wire[:40]}`... ({len(wire) // 2} bytes)"


def _numbers(numbers: frozenset[int]) -> str:
    return " ".join(str(number) for number in sorted(numbers))


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
