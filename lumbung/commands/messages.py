"""`lumbung explain`, `diff`, `spec check`, `spec doctor`: looking at messages and specifications.

Values are masked by the specification and fail closed: what cannot be read is shown as a length.
"""

import json
from pathlib import Path

import click

from protocols.iso8583 import (
    Codec,
    Message,
    MessageError,
    Spec,
    SpecError,
    describe,
    inspect_message,
    load_spec,
    parse_spec,
    shipped_names,
    specs_that_fit,
)
from protocols.iso8583 import diff as differences

#: More than any message in hexadecimal; what a larger file holds beyond is not looked at.
FILE_BYTES_MAX = 1 << 18

SPEC_OPTION = click.option(
    "--spec", "spec_name", default="edc", show_default=True, help="A shipped name or a TOML file."
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


def find_spec(name: str, asked_as: str = "--spec") -> Spec:
    """Give a shipped specification by name, or one read from a file of the user's."""
    if name in shipped_names():
        return load_spec(name)
    path = Path(name)
    if not path.is_file():
        raise click.BadParameter(
            f"no specification {name!r}: give one of {', '.join(shipped_names())}, or a file",
            param_hint=asked_as,
        )
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(
            f"{path}: cannot be read as UTF-8 text ({error})", param_hint=asked_as
        ) from None
    return parse_spec(text, str(path))


def read_bytes(given: str) -> bytes:
    """Give bytes from hexadecimal text, or from a file that holds hexadecimal text or raw bytes."""
    path = Path(given)
    content = given
    if _is_file(path):
        try:
            with path.open("rb") as file:
                raw = file.read(FILE_BYTES_MAX)
        except OSError as error:
            raise click.BadParameter(f"{path}: cannot be read ({error.strerror})") from None
        try:
            content = raw.decode("ascii")
        except UnicodeDecodeError:
            return raw
    try:
        return bytes.fromhex("".join(content.split()))
    except ValueError:
        raise click.BadParameter(
            "neither hexadecimal digits in pairs nor a file with a message"
        ) from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # too long for a file name: then it is the message itself


def _decode(given: str, spec: Spec) -> Message:
    try:
        return Codec(spec).decode(read_bytes(given))
    except MessageError as error:
        raise click.BadParameter(f"no {spec.name} message: {error}") from None


@click.command()
@click.argument("message")
@SPEC_OPTION
@JSON_OPTION
def explain(message: str, spec_name: str, as_json: bool) -> None:
    """Take MESSAGE (hexadecimal, or a file) apart, element by element, masked.

    Never stops at the first fault: what can be read is shown, then where and why reading ended.
    Exit code 1 when the message is not valid.
    """
    spec = find_spec(spec_name)
    raw = read_bytes(message)
    found = inspect_message(spec, raw)
    fits = [one.spec.name for one in specs_that_fit(raw, [load_spec(n) for n in shipped_names()])
            if one.is_valid]  # fmt: skip
    text = describe(raw if found.error else Codec(spec).decode(raw), spec)
    if as_json:
        error = found.error
        values = {
            "spec": spec.name, "valid": found.is_valid, "bytes": len(raw), "text": text.split("\n"),
            "error": None if error is None else
            {"path": error.path, "offset": error.offset, "reason": str(error.reason)},
            "specs_that_fit": fits,
        }  # fmt: skip
        click.echo(json.dumps(values, ensure_ascii=False))
    else:
        click.echo(text)
        if found.error and fits:
            click.echo(f"valid under: {', '.join(fits)}")
    if found.error:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("left")
@click.argument("right")
@SPEC_OPTION
@JSON_OPTION
def diff(left: str, right: str, spec_name: str, as_json: bool) -> None:
    """Compare two messages (hexadecimal, or files) by element path, values masked.

    Exit code 1 when they differ.
    """
    spec = find_spec(spec_name)
    found = differences(_decode(left, spec), _decode(right, spec), spec)
    if as_json:
        rows = [{"path": d.path, "name": d.name, "left": d.left, "right": d.right} for d in found]
        click.echo(json.dumps({"differences": rows}, ensure_ascii=False))
    else:
        click.echo("\n".join(map(str, found)) if found else "no difference")
    if found:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("name")
@JSON_OPTION
def spec_check(name: str, as_json: bool) -> None:
    """Check specification NAME (shipped, or a TOML file); every fault with file:line.

    Exit code 1 when there is a fault.
    """
    try:
        spec = find_spec(name, "NAME")
    except SpecError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "code": error.code, "faults": error.problems}))
        else:
            click.echo("\n".join(f"{error.code} {problem}" for problem in error.problems))
        raise click.exceptions.Exit(1) from None
    count = len(spec.elements)
    if as_json:
        click.echo(json.dumps({"valid": True, "name": spec.name, "elements": count}))
    else:
        click.echo(f"{spec.name}: {count} elements, every example encodes and decodes")


@click.command()
@click.argument("message")
@JSON_OPTION
def spec_doctor(message: str, as_json: bool) -> None:
    """Say which shipped specifications fit MESSAGE, best first, and where each stops.

    When none fits, what usually stands in front of a message is taken off and tried as well.
    Exit code 1 when none fits as it is.
    """
    raw = read_bytes(message)
    found = specs_that_fit(raw, [load_spec(name) for name in shipped_names()])
    rows = [
        {"spec": one.spec.name, "valid": one.is_valid, "understood": one.consumed,
         "of": one.size, "stopped": "" if one.error is None else str(one.error)}
        for one in found
    ]  # fmt: skip
    fits = any(row["valid"] for row in rows)
    hints = [] if fits else framed(raw)
    if as_json:
        click.echo(json.dumps({"specs": rows, "hints": hints}, ensure_ascii=False))
    else:
        for hint in hints:
            click.echo(hint)
        for row in rows:
            fit = "fits" if row["valid"] else f"stops after {row['understood']}: {row['stopped']}"
            click.echo(f"{row['spec']:<8} {fit}")
    if not fits:
        raise click.exceptions.Exit(1)


#: What stands in front of a message on a line, by its bytes. Source: domain.md 4.1.
_IN_FRONT = {
    2: "length header",
    4: "length in ASCII digits",
    5: "TPDU",
    7: "length header and TPDU",
    9: "length in ASCII digits and TPDU",
}


def framed(raw: bytes) -> list[str]:
    """Give a line for each shipped specification that fits once a frame's front is taken off."""
    specs = [load_spec(name) for name in shipped_names()]
    return [
        f"{one.spec.name:<8} fits without the first {size} bytes: {name}"
        for size, name in _IN_FRONT.items()
        for one in specs_that_fit(raw[size:], specs)
        if one.is_valid
    ]
