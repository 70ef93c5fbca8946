"""A terminal's master key: made in the keystore, named in the registry (decision 15).

The value leaves only through the keystore, to whoever writes the enrolment file; what is kept here
is its label and its check value.
"""

from dataclasses import dataclass

from programme.actors import Actor
from programme.errors import NotFoundError
from programme.keystore import Keystore
from programme.registry import Registry, TerminalRequest


@dataclass(frozen=True, slots=True)
class KeyResult:
    """Which key a terminal now has, without its value."""

    terminal_id: str
    label: str
    check_value: str
    generation: int


def key_label(terminal_id: str) -> str:
    """Give the label of a terminal's master key.

    >>> key_label("12400001")
    'tmk/12400001'
    """
    return f"tmk/{terminal_id}"


def check_key(registry: Registry, terminal_id: str, merchant_id: str) -> None:
    """Raise NotFoundError unless terminal, or shop for a terminal's first key, is there."""
    if registry.terminal(terminal_id) is None and registry.merchant(merchant_id) is None:
        raise NotFoundError.of("programme.merchant_unknown", merchant=merchant_id)


def key_in_use(registry: Registry, terminal_id: str) -> str:
    """Give the check value of a terminal's key, '' for a terminal that is not registered yet."""
    view = registry.terminal(terminal_id)
    return "" if view is None else registry.shops.key_check_value(terminal_id)


def give_key(
    registry: Registry,
    keystore: Keystore,
    terminal_id: str,
    merchant_id: str,
    actor: Actor,
    *,
    replaces: str,
) -> KeyResult:
    """Register a terminal with its first master key, or give it a new one for that which it has.

    `replaces` is the check value of the key that goes, '' for none (`key_in_use`). Stopped between
    keystore and registry, the next call finishes: a key that the registry does not name yet is the
    one that it will name. A terminal that has another key than `replaces` was given its new one
    already, and keeps it. Raises: NotFoundError, RoleError, RuleError.
    """
    label, view = key_label(terminal_id), registry.terminal(terminal_id)
    if view is None:
        if label not in keystore:
            keystore.generate(label)
        request = TerminalRequest(
            terminal_id=terminal_id,
            home_merchant_id=merchant_id,
            key_label=label,
            key_check_value=keystore.check_value(label),
        )
        registry.shops.add_terminals([request], actor)
    else:
        label = view.key_label
        if keystore.check_value(label) == replaces:
            keystore.rotate(label)
        if key_in_use(registry, terminal_id) != keystore.check_value(label):
            registry.shops.set_key(terminal_id, keystore.check_value(label), actor)
    return KeyResult(terminal_id, label, keystore.check_value(label), keystore.generation(label))
