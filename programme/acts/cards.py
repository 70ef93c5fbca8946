"""Acts on cards: block, unblock, move."""

from typing import Annotated

from pydantic import Field

from programme.actors import Actor
from programme.acts.base import Act, ActArguments, Cards, Number, Tell
from programme.offices import Office
from programme.registry_port import BlockReason, CardStatus
from programme.rows import CardRows


class CardsArguments(ActArguments):
    """Cards by their registry numbers: all or none."""

    cards: Cards


class BlockArguments(CardsArguments):
    """Which cards are blocked, and why."""

    reason: Annotated[
        BlockReason,
        Field(strict=False, description="B01 lost, B02 decree ended, B03 deceased, B04 duplicate, "
              "B05 not collected, B06 suspicion, B07 stolen"),
    ]  # fmt: skip


class DecreeArguments(ActArguments):
    """Which decree is meant: the registry's number."""

    decree: Number


class MoveArguments(CardsArguments):
    """Which cards go one step of their life on, and to which state."""

    to: Annotated[
        CardStatus,
        Field(strict=False, description="`at bank`, `collected`, `active` or `closed`"),
    ]


def _block(office: Office, actor: Actor, asked: BlockArguments, _tell: Tell) -> CardRows:
    office.block(asked.cards, asked.reason, actor)
    return CardRows.of(office, asked.cards)


def _block_ended(office: Office, actor: Actor, asked: DecreeArguments, _tell: Tell) -> CardRows:
    found = office.block_ended(asked.decree, actor)
    return CardRows.of(office, sorted(number for group in found.values() for number in group))


def _unblock(office: Office, actor: Actor, asked: CardsArguments, _tell: Tell) -> CardRows:
    office.unblock(asked.cards, actor)
    return CardRows.of(office, asked.cards)


def _move(office: Office, actor: Actor, asked: MoveArguments, _tell: Tell) -> CardRows:
    office.move(asked.cards, asked.to, actor)
    return CardRows.of(office, asked.cards)


CARD_ACTS = (
    Act("card-block", "block cards, in force when it answers", BlockArguments, CardRows, _block),
    Act("card-block-ended", "block the cards of people whose aid a decree ended",
        DecreeArguments, CardRows, _block_ended, is_bulk=True),
    Act("card-unblock", "give blocked cards their state back", CardsArguments, CardRows, _unblock),
    Act("card-move", "move cards one step of their life on", MoveArguments, CardRows, _move),
)  # fmt: skip
