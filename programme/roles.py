"""Who may do what, from `roles.toml`: the one table that every call asks (design decision 20)."""

import tomllib
from functools import cache
from importlib.resources import files

from programme.actors import Actor, Agency
from programme.errors import RoleError


@cache
def _matrix() -> dict[str, tuple[frozenset[Agency], str]]:
    table = tomllib.loads(files("programme").joinpath("roles.toml").read_text("utf-8"))
    return {
        f"{subject}.{action}": (frozenset(map(Agency, entry["by"])), entry["source"])
        for subject, actions in table.items()
        for action, entry in actions.items()
    }


def actions() -> tuple[str, ...]:
    """Give every action, as `subject.action`."""
    return tuple(_matrix())


def agencies_for(action: str) -> frozenset[Agency]:
    """Give who may do it; an action that the table does not have is a bug: KeyError.

    >>> sorted(agencies_for("card.replaced"))
    [<Agency.DISKOMINFO: 'Diskominfo'>]
    """
    return _matrix()[action][0]


def source_of(action: str) -> str:
    """Give why the table says so: an article, a requirement, a decision."""
    return _matrix()[action][1]


def require(actor: Actor, action: str) -> None:
    """Raise RoleError unless the actor's agency may do it."""
    allowed, source = _matrix()[action]
    if actor.agency not in allowed:
        raise RoleError.of(
            "programme.role",
            agency=actor.agency.value,
            action=action,
            allowed=", ".join(sorted(allowed)),
            source=source,
        )
