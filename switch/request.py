"""A request as the switch reads it: the facts of its message, and what follows from them."""

from protocols.ids import MessageKey
from protocols.iso8583.facts import Facts, Original, facts_reader

__all__ = ["Original", "Request", "read_request"]


class Request(Facts):
    """One request. Amounts are sen; texts are as sent, without padding."""

    __slots__ = ()

    @property
    def transaction_type(self) -> str:
        """Give the first two digits of DE3. Source: ISO 8583:1987 element 3."""
        return self.processing_code[:2]

    @property
    def account_type(self) -> str:
        """Give the account type of DE3: of the from pair, of the to pair for a refund."""
        return self.processing_code[4:6] if self.is_credit else self.processing_code[2:4]

    @property
    def is_credit(self) -> bool:
        """Tell whether money goes to the card."""
        return self.transaction_type == "20"

    @property
    def accepts_partial(self) -> bool:
        """Tell whether the terminal says that it can handle a partial approval (DE61)."""
        return "P" in str(self.message.parts(61).get("accepts", ""))

    def original_key(self) -> MessageKey:
        """Give the key of the message that DE90 names; DE41 and DE37 are the same in both."""
        assert self.original is not None
        return MessageKey(
            self.link,
            self.original.acquirer,
            self.terminal_id,
            self.original.transmission_time,
            self.original.stan,
            self.rrn,
            self.original.mti[:2],
        )


#: Gives the request of a decoded message on a link; raises MessageError when a part is unsound.
read_request = facts_reader(Request)
