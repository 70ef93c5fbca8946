"""A terminal with everything switched on, and the CA keys it knows: data in `laboratory.toml`."""

import tomllib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from protocols.crypto.certificates import CaPublicKey
from protocols.crypto.mac import same_mac
from protocols.crypto.rsa import RsaPublicKey
from terminal.kernel.configuration import (
    TerminalApplication,
    TerminalData,
    default_terminal_data,
)


@cache
def _table() -> dict[str, Any]:
    text = files("terminal.kernel").joinpath("laboratory.toml").read_text("utf-8")
    return tomllib.loads(text)


def read_ca_keys(entries: list[dict[str, Any]]) -> tuple[CaPublicKey, ...]:
    """Give the CA keys of `[[ca_key]]` tables; raise ValueError for a key whose checksum differs.

    Source: EMV 4.4 Book 2, 11.2.2.
    """
    keys: list[CaPublicKey] = []
    for entry in entries:
        public = RsaPublicKey(bytes.fromhex(entry["modulus"]), entry["exponent"])
        for rid in entry["rids"]:
            key = CaPublicKey(bytes.fromhex(rid), int(entry["index"], 16), public)
            if not same_mac(key.checksum(), bytes.fromhex(entry["sha1"][rid])):
                raise ValueError(f"CA key {entry['index']} of RID {rid}: the checksum differs")
            keys.append(key)
    return tuple(keys)


@cache
def known_ca_keys() -> tuple[CaPublicKey, ...]:
    """Give the CA keys of `laboratory.toml`: the published test authorities'.

    >>> [(key.rid.hex().upper(), key.index) for key in known_ca_keys()]
    [('F04C554D42', 225), ('A000000602', 225), ('F04C554D42', 226)]
    """
    return read_ca_keys(_table()["ca_key"])


def laboratory_terminal_data(**identity: str) -> TerminalData:
    """Give `default_terminal_data` with offline data authentication, offline PIN and test AID.

    >>> laboratory_terminal_data().terminal_capabilities.hex()
    '20d8c8'
    """
    table = _table()
    base = default_terminal_data(**identity)
    added = tuple(
        TerminalApplication(
            bytes.fromhex(aid),
            entry["partial"] == "yes",
            bytes.fromhex(entry["version"]),
            entry["name"],
        )
        for aid, entry in table["application"].items()
    )
    return replace(
        base,
        applications=base.applications + added,
        terminal_capabilities=bytes.fromhex(table["data"]["9F33"]),
        additional_capabilities=bytes.fromhex(table["data"]["9F40"]),
        ca_keys=known_ca_keys(),
    )
