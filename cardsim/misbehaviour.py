"""What a card can be made to do wrong from within, for tests of what terminals and issuers see."""

from enum import Enum


class Misbehaviour(Enum):
    """A card's own fault; the value is its name in fault plans. Source: reference/emv.md 4.4."""

    ACCEPTS_ANY_ARPC = "accept any arpc"
    STUCK_ATC = "stuck atc"
    WRONG_CRYPTOGRAM = "wrong cryptogram"
    OTHER_AMOUNT = "other amount"
    WRONG_TRANSACTION_HASH = "wrong transaction hash"
    REPLAYED_NUMBER = "replayed number"
    KEEPS_PIN_TRIES = "keeps pin tries"
    FOREIGN_CERTIFICATE = "foreign certificate"
    WEAK_KEY = "weak key"
    HIGHER_CRYPTOGRAM = "higher cryptogram"
    LOWER_CRYPTOGRAM = "lower cryptogram"
    APPLICATION_BLOCKED = "application blocked"
    CARD_BLOCKED = "card blocked"
    PIN_BLOCKED = "pin blocked"
    OFFLINE_LIMITS_SPENT = "offline limits spent"
