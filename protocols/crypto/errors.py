"""What cryptography refuses: by position, length and reason, never by content."""

from protocols.errors import LumbungError


class CryptoError(LumbungError):
    """A key, block or certificate cannot be used. `reason` says why and holds no content."""

    code = "E-CR-0001"

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(f"Cryptography: {reason}.")
        self.reason = reason


class KeyRefusedError(CryptoError):
    """A key of wrong length, or one that its standard forbids (zero, weak, equal halves)."""

    code = "E-CR-0002"


class DataLengthError(CryptoError):
    """Data that is no whole number of blocks, or a field of the wrong length."""

    code = "E-CR-0003"


class PinError(CryptoError):
    """A PIN or PIN block that is none: wrong length, control digit, filler."""

    code = "E-CR-0004"


class KeyBlockError(CryptoError):
    """A TR-31 key block that is damaged, foreign or not for this key."""

    code = "E-CR-0005"


class CertificateError(CryptoError):
    """A certificate or signature of offline data authentication that does not hold."""

    code = "E-CR-0006"
