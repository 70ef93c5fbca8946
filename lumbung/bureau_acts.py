"""The card bureau's acts: they need a place for chips and letters, so they are made for one."""

from lumbung.bureau import issue_cards, replace_card
from lumbung.composition import Offices
from programme.actors import Actor
from programme.acts.base import Act, ActArguments, Number, Tell
from programme.offices import Office
from programme.rows import CardRow, CardRows


class ReplaceArguments(ActArguments):
    """Which card is replaced by a new one on the same account."""

    card: Number


class IssueArguments(ActArguments):
    """For which decree's people cards are printed who have none."""

    decree: Number


def bureau_acts(parts: Offices) -> tuple[Act, ...]:
    """Give the acts of a data directory's card bureau; both are jobs: one prints at a time."""

    def replace(office: Office, actor: Actor, asked: ReplaceArguments, _tell: Tell) -> CardRow:
        card = replace_card(parts, office, asked.card, actor)
        return CardRows.of(office, [card.card_number]).cards[0]

    def issue(office: Office, actor: Actor, asked: IssueArguments, tell: Tell) -> CardRows:
        issued = issue_cards(parts, office, asked.decree, actor, on_card=tell)
        return CardRows.of(office, [card.card_number for card in issued])

    return (
        Act("card-replace", "print a new card on the same account", ReplaceArguments, CardRow,
            replace, is_bulk=True),
        Act("card-issue", "print a card for each person of a decree who has none",
            IssueArguments, CardRows, issue, is_bulk=True),
    )  # fmt: skip
