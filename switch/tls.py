"""TLS of links: contexts from PEM files, 1.2 and above; where asked, clients prove themselves."""

import ssl
from pathlib import Path

from protocols.errors import ConfigurationError
from switch.config import TlsConfig


def server_context(tls: TlsConfig) -> ssl.SSLContext:
    """Give the context of a listening link; with `client_ca` a client must prove itself.

    Raises ConfigurationError for a file that is missing or no PEM of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_own(context, tls)
    if tls.client_ca is not None:
        _load_authority(context, tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(authority: Path, own: TlsConfig | None = None) -> ssl.SSLContext:
    """Give the context of an outgoing link: the host must be vouched for by the authority.

    Raises ConfigurationError as `server_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_authority(context, authority)
    if own is not None:
        _load_own(context, own)
    return context


def _load_own(context: ssl.SSLContext, tls: TlsConfig) -> None:
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise _fault(f"{tls.certificate} with {tls.key}", error) from error


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise _fault(str(authority), error) from error


def _fault(what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{what}: not usable for TLS ({error.strerror or type(error).__name__}).",
        internal=f"{what}: {error}",
        fix="Name PEM files that exist, belong together and may be read.",
    )
