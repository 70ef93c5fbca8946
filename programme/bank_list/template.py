"""An empty list with one example line, for the bank that fills it."""

from programme.decree.template import template

PACKAGE = "programme.bank_list"


def bank_template(delimiter: str = ";") -> str:
    """Give a bank's list that the reader accepts as it is.

    >>> print(bank_template().splitlines()[1])
    #periode: 2026-01
    """
    return template(delimiter, PACKAGE)
