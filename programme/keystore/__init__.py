"""The keystore: keys by label, wrapped under a master key that is never written (decision 15)."""

from programme.keystore.keystore import Keystore, SessionKeySet
from programme.keystore.sealed_file import KeyKind

__all__ = ["KeyKind", "Keystore", "SessionKeySet"]
