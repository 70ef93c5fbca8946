"""`switch.toml`: what an operator may set. Every key has a default; an unknown key is a fault.

Loopback is the default (design decision 22): anything else is asked for by name and speaks TLS.
"""

import ipaddress
from datetime import time
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from protocols.framing import FrameSpec
from protocols.iso8583 import shipped_names
from switch import limits
from switch.framings import FRAMINGS, framing_of
from switch.toml_model import load_model


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TlsConfig(_Strict):
    """Certificates of one link, as PEM files beside the configuration."""

    certificate: Path = Field(strict=False, description="a PEM file with the certificate chain")
    key: Path = Field(strict=False, description="a PEM file with the private key, readable by us")
    client_ca: Path | None = Field(
        default=None,
        strict=False,
        description="a PEM file of the authority whose clients may connect (mutual TLS)",
    )


class ListenConfig(_Strict):
    """Where peers of one link connect, and how their messages look."""

    name: str = Field(
        default="",
        pattern="^([a-z0-9-]{1,32})?$",
        description="up to 32 letters, digits and -; empty means the name of the spec",
    )
    host: str = Field(
        default="127.0.0.1", description="an IP address; loopback unless remote and tls are set"
    )
    port: int = Field(
        default=0, ge=0, le=65_535, description="0 to 65535; 0 lets the system choose"
    )
    remote: bool = Field(
        default=False, description="true to serve other machines, which needs a tls table"
    )
    spec: str = Field(
        default="edc", pattern="^[a-z0-9-]{1,32}$", description="the name of a spec file"
    )
    framing: str = Field(
        default="", description=f"empty for that of the spec, or one of {', '.join(FRAMINGS)}"
    )
    persistent: bool = Field(
        default=True, description="false to close each connection after one answer"
    )
    tls: TlsConfig | None = Field(
        default=None, description="a table with certificate, key and perhaps client_ca"
    )

    @property
    def link(self) -> str:
        """Give the link's name, as logs and metrics tell it."""
        return self.name or self.spec

    @property
    def frames(self) -> FrameSpec:
        """Give the link's framing."""
        return framing_of(self.framing, self.spec)

    @field_validator("spec")
    @classmethod
    def _shipped(cls, spec: str) -> str:
        if spec not in shipped_names():
            raise ValueError(f"no such spec file: there are {', '.join(shipped_names())}")
        return spec

    @field_validator("framing")
    @classmethod
    def _known(cls, framing: str) -> str:
        if framing and framing not in FRAMINGS:
            raise ValueError(f"no such framing: there are {', '.join(FRAMINGS)}")
        return framing

    @model_validator(mode="after")
    def _loopback_unless_asked(self) -> Self:
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError("the host is not an IP address, such as 127.0.0.1") from None
        if address.is_loopback:
            return self
        if not self.remote:
            raise ValueError("the host is not loopback; set remote = true to ask for that by name")
        if self.tls is None:
            raise ValueError("a link to other machines needs TLS; add a tls table")
        return self


class ConnectionConfig(_Strict):
    """Bounds of connections; each may be lowered, none raised above the switch's own limit."""

    maximum: int = Field(
        default=limits.CONNECTIONS_DEFAULT,
        ge=1,
        le=limits.CONNECTIONS_MAX,
        description=f"1 to {limits.CONNECTIONS_MAX} connections",
    )
    in_flight_maximum: int = Field(
        default=limits.IN_FLIGHT_PER_CONNECTION_MAX,
        ge=1,
        le=limits.IN_FLIGHT_PER_CONNECTION_MAX,
        description=f"1 to {limits.IN_FLIGHT_PER_CONNECTION_MAX} requests under way per connection",
    )
    total_in_flight_maximum: int = Field(
        default=limits.IN_FLIGHT_MAX,
        ge=1,
        le=limits.IN_FLIGHT_MAX,
        description=f"1 to {limits.IN_FLIGHT_MAX} requests under way in the switch",
    )
    idle_seconds: float = Field(
        default=limits.IDLE_SECONDS_MAX,
        gt=0,
        le=86_400,
        description="0 to 86400 seconds without a byte",
    )
    frame_seconds: float = Field(
        default=limits.FRAME_SECONDS_MAX,
        gt=0,
        le=300,
        description="0 to 300 seconds for one whole frame",
    )
    session_seconds: float = Field(
        default=86_400,
        gt=0,
        le=2_592_000,
        description="0 to 2592000 seconds until a connection must be made anew",
    )
    drain_seconds: float = Field(
        default=limits.DRAIN_SECONDS_MAX,
        ge=0,
        le=300,
        description="0 to 300 seconds to finish at a stop",
    )


class TerminalRateConfig(_Strict):
    """How often one terminal may speak; what is above is answered 91 at once."""

    per_second: float = Field(
        default=limits.TERMINAL_PER_SECOND,
        gt=0,
        le=1_000_000,
        description="0 to 1000000 messages a second of one terminal",
    )
    burst: int = Field(
        default=limits.TERMINAL_BURST,
        ge=1,
        le=1_000_000,
        description="1 to 1000000 messages that a terminal may save up",
    )


class AdminConfig(_Strict):
    """Where health and metrics are told, on loopback only."""

    port: int | None = Field(
        default=None, ge=0, le=65_535, description="0 to 65535; no admin port without the key"
    )


class JournalConfig(_Strict):
    """The binary journal of raw frames and decisions."""

    enabled: bool = Field(default=True, description="true to keep a journal, false for none")
    segment_megabytes: int = Field(
        default=64, ge=1, le=1_024, description="1 to 1024 megabytes of one segment file"
    )
    segments: int = Field(
        default=16, ge=2, le=10_000, description="2 to 10000 segments; the oldest goes first"
    )
    hours: int = Field(
        default=24,
        ge=0,
        le=8_784,
        description="0 to 8784 hours that it should reach back; less is told as degraded",
    )


class HostTlsConfig(_Strict):
    """How a host is proved, and how we prove ourselves to it."""

    authority: Path = Field(
        strict=False, description="a PEM file of the authority that vouches for the host"
    )
    own: TlsConfig | None = Field(
        default=None, description="a table with our certificate and key (mutual TLS)"
    )
    name: str = Field(default="", description="the host's name in its certificate; empty: host")


class HostConfig(_Strict):
    """A link that we dial: a bank or an interbank host."""

    name: str = Field(pattern="^[a-z0-9-]{1,32}$", description="1 to 32 letters, digits and -")
    host: str = Field(min_length=1, max_length=253, description="an address or a host name")
    port: int = Field(ge=1, le=65_535, description="1 to 65535")
    spec: str = Field(
        default="bank", pattern="^[a-z0-9-]{1,32}$", description="the name of a spec file"
    )
    framing: str = Field(
        default="bank", description=f"a framing without TPDU, of {', '.join(FRAMINGS)}"
    )
    keys: tuple[int, ...] = Field(
        default=(7, 11, 32, 37),
        strict=False,
        min_length=1,
        max_length=8,
        description="the elements by which an answer is known",
    )
    keys_by_mti: dict[str, Annotated[tuple[int, ...], Field(strict=False)]] = Field(
        default={"08": (7, 11)},
        description="other elements for MTIs that begin with these digits",
    )
    window: int = Field(
        default=32,
        ge=1,
        le=limits.HOST_WINDOW_MAX,
        description=f"1 to {limits.HOST_WINDOW_MAX} requests under way",
    )
    timeout_ms: int = Field(
        default=15_000, ge=10, le=120_000, description="10 to 120000 ms for an answer"
    )
    connect_ms: int = Field(
        default=5_000, ge=10, le=60_000, description="10 to 60000 ms for a connection"
    )
    echo_seconds: float = Field(
        default=60.0, gt=0, le=3_600, description="0 to 3600 seconds of silence before an echo"
    )
    back_off_ms: int = Field(
        default=500, ge=1, le=60_000, description="1 to 60000 ms before the second try"
    )
    back_off_longest_ms: int = Field(
        default=60_000, ge=1, le=3_600_000, description="1 to 3600000 ms between tries"
    )
    remote: bool = Field(
        default=False, description="true to dial another machine, which needs a tls table"
    )
    tls: HostTlsConfig | None = Field(
        default=None, description="a table with authority and perhaps own"
    )

    @property
    def frames(self) -> FrameSpec:
        """Give the link's framing."""
        return framing_of(self.framing, self.spec)

    @property
    def tls_name(self) -> str:
        """Give the name that the host's certificate must have."""
        return (self.tls.name if self.tls else "") or self.host

    @field_validator("framing")
    @classmethod
    def _without_tpdu(cls, framing: str) -> str:
        if framing not in FRAMINGS or FRAMINGS[framing].tpdu_size:
            raise ValueError("no such framing, or one with a TPDU")
        return framing

    @field_validator("spec")
    @classmethod
    def _shipped(cls, spec: str) -> str:
        if spec not in shipped_names():
            raise ValueError(f"no such spec file: there are {', '.join(shipped_names())}")
        return spec

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.back_off_ms > self.back_off_longest_ms:
            raise ValueError("back_off_ms is above back_off_longest_ms")
        if self.host in ("127.0.0.1", "::1", "localhost"):
            return self
        if not (self.remote and self.tls is not None):
            raise ValueError("a host on another machine needs remote = true and a tls table")
        return self


class BusinessDayConfig(_Strict):
    """When the business date moves (R44): at this time of day in WITA."""

    cut_over: time = Field(
        default=time(0, 0),
        description="a time of day in WITA such as 23:00:00; 00:00:00 is midnight",
    )


class KeyConfig(_Strict):
    """Labels in the keystore; values never stand in a configuration."""

    issuer_cryptogram: str = Field(
        default="imk_ac", min_length=1, description="the label of the issuer key of the cryptograms"
    )
    pin_verification: str = Field(
        default="pvk", min_length=1, description="the label of the PIN verification key"
    )


class SwitchConfig(_Strict):
    """The whole of `switch.toml`."""

    node: str = Field(
        default="lumbung-1",
        pattern="^[A-Za-z0-9._-]{1,32}$",
        description="1 to 32 letters, digits, . _ -",
    )
    rules: Path | None = Field(
        default=None, strict=False, description="a rule file; the built-in rules without the key"
    )
    accept_lost_state: bool = Field(
        default=False,
        description="true for one start: begin a lost state file anew beside a ledger with sales",
    )
    listen: ListenConfig = ListenConfig()
    links: tuple[ListenConfig, ...] = Field(
        default=(),
        strict=False,
        max_length=limits.LINKS_MAX - 1,
        description=f"up to {limits.LINKS_MAX - 1} further links, each as [[links]]",
    )
    hosts: tuple[HostConfig, ...] = Field(
        default=(),
        strict=False,
        max_length=limits.HOSTS_MAX,
        description=f"up to {limits.HOSTS_MAX} hosts to dial, each as [[hosts]]",
    )
    connections: ConnectionConfig = ConnectionConfig()
    terminals: TerminalRateConfig = TerminalRateConfig()
    admin: AdminConfig = AdminConfig()
    journal: JournalConfig = JournalConfig()
    business_day: BusinessDayConfig = BusinessDayConfig()
    keys: KeyConfig = KeyConfig()

    @property
    def all_links(self) -> tuple[ListenConfig, ...]:
        """Give every link, the first one first."""
        return (self.listen, *self.links)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [link.link for link in self.all_links]
        if len(names) != len(set(names)):
            raise ValueError(f"two links have one name: {', '.join(names)}; give each a name")
        return self


def load(path: Path) -> SwitchConfig:
    """Give the configuration of a file.

    Raises ConfigurationError with one `file:line: key: problem - allowed - how to mend` line per
    fault. Relative files (rules, certificates) are looked for beside the configuration.
    """
    config = load_model(path, SwitchConfig)
    folder = path.parent
    links = tuple(_placed(link, folder) for link in config.all_links)
    rules = None if config.rules is None else folder / config.rules
    hosts = tuple(_host_placed(host, folder) for host in config.hosts)
    return config.model_copy(
        update={"rules": rules, "listen": links[0], "links": links[1:], "hosts": hosts}
    )


def _placed(link: ListenConfig, folder: Path) -> ListenConfig:
    if link.tls is None:
        return link
    return link.model_copy(update={"tls": _files_placed(link.tls, folder)})


def _host_placed(host: HostConfig, folder: Path) -> HostConfig:
    if host.tls is None:
        return host
    own = None if host.tls.own is None else _files_placed(host.tls.own, folder)
    authority = folder / host.tls.authority
    tls = host.tls.model_copy(update={"own": own, "authority": authority})
    return host.model_copy(update={"tls": tls})


def _files_placed(tls: TlsConfig, folder: Path) -> TlsConfig:
    files = tls.model_dump(exclude_none=True)
    return tls.model_copy(update={name: folder / file for name, file in files.items()})
