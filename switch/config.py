"""`switch.toml`: what an operator may set. Every key has a default; an unknown key is a fault.

Loopback is the default (design decision 22): anything else is asked for by name, because this link
has no TLS yet.
"""

import ipaddress
from datetime import time
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from protocols.iso8583 import shipped_names
from switch import limits
from switch.toml_model import load_model


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ListenConfig(_Strict):
    """Where terminals connect."""

    host: str = Field(
        default="127.0.0.1", description="an IP address; loopback unless plain_remote is set"
    )
    port: int = Field(
        default=0, ge=0, le=65_535, description="0 to 65535; 0 lets the system choose"
    )
    plain_remote: bool = Field(
        default=False, description="true to accept other machines without TLS, false to refuse"
    )
    spec: str = Field(
        default="edc", pattern="^[a-z0-9-]{1,32}$", description="the name of a spec file"
    )

    @field_validator("spec")
    @classmethod
    def _shipped(cls, spec: str) -> str:
        if spec not in shipped_names():
            raise ValueError(f"no such spec file: there are {', '.join(shipped_names())}")
        return spec

    @model_validator(mode="after")
    def _loopback_unless_asked(self) -> Self:
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError("the host is not an IP address, such as 127.0.0.1") from None
        if not address.is_loopback and not self.plain_remote:
            raise ValueError(
                "the host is not loopback and this link has no TLS; set plain_remote = true to "
                "accept that"
            )
        return self


class ConnectionConfig(_Strict):
    """Bounds of connections; each may be lowered, none raised above the switch's own limit."""

    maximum: int = Field(
        default=limits.CONNECTIONS_MAX,
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
    drain_seconds: float = Field(
        default=limits.DRAIN_SECONDS_MAX,
        ge=0,
        le=300,
        description="0 to 300 seconds to finish at a stop",
    )


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
    listen: ListenConfig = ListenConfig()
    connections: ConnectionConfig = ConnectionConfig()
    business_day: BusinessDayConfig = BusinessDayConfig()
    keys: KeyConfig = KeyConfig()


def load(path: Path) -> SwitchConfig:
    """Give the configuration of a file.

    Raises ConfigurationError with one `file:line: key: problem - allowed - how to mend` line per
    fault. A relative rule file is looked for beside the configuration.
    """
    config = load_model(path, SwitchConfig)
    if config.rules is not None and not config.rules.is_absolute():
        return config.model_copy(update={"rules": path.parent / config.rules})
    return config
