"""Virtual cards for tests: one call makes a card with its issuer, its slot and its trace."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cardsim import Card, CardImage, Profile, personalise, together
from cardsim.channel import InProcessChannel
from cardsim.faults import Fault, Reaction, ReactionKind, parse_faults
from cardsim.trace import Trace
from lumbung.story.cast import pan_of
from lumbung.system import StoryClock, seeded_random
from lumbung.testing.issuer import CardIssuer
from lumbung.testing.purchases import Purchase, Scripts, buy, terminal_for
from protocols.crypto.emv_keys import icc_master_key
from protocols.emv.apdu import CommandApdu, ResponseApdu, t0_follow_up
from protocols.values import SecretBytes
from terminal.card_channel import CardMuteError, CardRemovedError
from terminal.card_link import T0_ROUNDS
from terminal.kernel import TerminalData

#: Master keys per card, in the order in which a seed gives them.
_KEYS = ("udk_ac", "udk_mac", "udk_encipherment")
_KEY_BYTES = 16
_EXPIRY = datetime.date(2030, 12, 31)


class VirtualCard:
    """A card in a slot of its own, powered by whoever talks to it. Not for two threads."""

    def __init__(
        self,
        image: CardImage,
        *,
        seed: int = 1,
        faults: Iterable[Fault] = (),
        file: Path | None = None,
    ) -> None:
        """Put the card into its slot; with `file`, every write is durable there."""
        self._random_bytes = seeded_random(seed, "card")
        self._terminal_random = seeded_random(seed, "terminal")
        self.card = Card(image, StoryClock(), self._random_bytes)
        persist = None if file is None else (lambda changed: changed.save(file))
        #: The card as terminals see it: keeps `terminal.card_channel.CardChannel`.
        self.channel = InProcessChannel(self.card, persist=persist, faults=faults)
        self.issuer = CardIssuer.of(image)
        self._purchases = 0

    def __repr__(self) -> str:
        return f"<VirtualCard {self.image.profile} {self.image.serial}>"

    @property
    def image(self) -> CardImage:
        """Give the card's content as it is after the last write."""
        return self.card.image

    @property
    def trace(self) -> Trace:
        """Give every exchange so far, masked, with the faults that struck."""
        return self.channel.trace

    def send(self, command: CommandApdu | str) -> ResponseApdu:
        """Send one command, an APDU in hex or built, and give the card's final answer.

        Powers a card that is not; does what T=0 needs; faults strike and the trace has it, but a
        slow card does not wait. Raises CardMuteError, CardRemovedError, and ApduError for a text
        that is no command or an answer without status.
        """
        if not self.card.powered:
            _data_of(self.channel.layer.power())
        sent = CommandApdu.parse(bytes.fromhex(command)) if isinstance(command, str) else command
        answer = self._exchanged(sent)
        for _ in range(T0_ROUNDS):
            following = t0_follow_up(sent, answer) if self.image.protocol == 0 else None
            if following is None:
                break
            sent, answer = following, self._exchanged(following)
        return answer

    def _exchanged(self, command: CommandApdu) -> ResponseApdu:
        raw = command.encoded() if self.image.protocol == 1 else command.encoded_t0()
        return ResponseApdu.parse(_data_of(self.channel.layer.exchange(raw)))

    async def buy(
        self,
        amount_sen: int,
        *,
        terminal: TerminalData | None = None,
        arc: str | None = "00",
        scripts: Scripts | None = None,
        **options: Any,
    ) -> Purchase:
        """Run a whole purchase at a terminal of ours, the card's issuer answering.

        Further options are those of `lumbung.testing.purchases.buy`.
        """
        self._purchases += 1
        return await buy(
            self.channel, self.issuer, amount_sen, arc=arc, scripts=scripts,
            terminal=terminal or terminal_for(self.image.profile),
            **{"sequence_counter": self._purchases, "random_bytes": self._terminal_random,
               **options},
        )  # fmt: skip


def _data_of(reaction: Reaction) -> bytes:
    if reaction.kind is ReactionKind.MUTE:
        raise CardMuteError
    if reaction.kind is ReactionKind.REMOVED:
        raise CardRemovedError
    return reaction.data


def virtual_card(
    *profiles: str | Profile,
    seed: int = 1,
    faults: Iterable[Fault] | str = (),
    file: Path | None = None,
    **content: Any,
) -> VirtualCard:
    """Give a new card of a profile (a name, or the path of a TOML file), the same under a seed.

    Without a profile it is an SSN card; with several it has all their applications. `faults` are
    values or the text of a fault plan. `file` is where the card is kept. `content` goes to
    `cardsim.personalise`: name, pin, expiry, balance_sen ... Number and keys come from the seed.
    Raises ProfileError, FaultPlanError.

    >>> card = virtual_card(seed=7)
    >>> card.send("00A404000E315041592E5359532E444446303100").sw
    36864
    """
    image = make_image(profiles or ("ssn",), seed, **content)
    if file is not None:
        image.save(file)
    plan = parse_faults(faults, "fault plan") if isinstance(faults, str) else tuple(faults)
    return VirtualCard(image, seed=seed, faults=plan, file=file)


def make_image(
    profiles: str | Profile | Sequence[str | Profile], seed: int, **content: Any
) -> CardImage:
    """Give the image of a test card with the applications of one profile or several.

    Number and keys come from the seed unless they are given; all applications have the same.
    """
    wanted = (profiles,) if isinstance(profiles, (str, Profile)) else tuple(profiles)
    random_bytes = seeded_random(seed, "card new")
    pan = content.pop("pan", None) or pan_of(seed, 1)
    psn = content.pop("psn", "01")
    masters = [SecretBytes(random_bytes(_KEY_BYTES)) for _ in _KEYS]
    keys = {name: icc_master_key(key, pan, psn) for name, key in zip(_KEYS, masters, strict=True)}
    given = {"expiry": _EXPIRY, "name": "PENERIMA CONTOH", **keys, **content}
    return together(
        *(personalise(one, pan=pan, psn=psn, random_bytes=random_bytes, **given) for one in wanted)
    )
