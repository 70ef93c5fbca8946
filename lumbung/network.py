"""Addresses as people give them on the command line."""

import ipaddress

import click

from protocols.errors import ConfigurationError

_PORTS = 65_536


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """Give `HOST:PORT` as its parts; raise BadParameter naming the option.

    >>> host_and_port("[::1]:9100", "--listen")
    ('::1', 9100)
    """
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < _PORTS):
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint=option)
    return host.strip("[]"), int(port)


def check_loopback(host: str, what: str) -> None:
    """Raise ConfigurationError unless `host` is this machine's own: the wire has no protection."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationError(
            f"{host}: {what} listens on loopback only; the wire has no protection of its own.",
            fix="Use 127.0.0.1, with a tunnel from elsewhere.",
        )
