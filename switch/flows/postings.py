"""How the switch's transfers are built: sale, compensation, tombstone (design decisions 5, 6)."""

from dataclasses import replace

from ledger.structures import Transfer, TransferFlags
from programme.chart import TOMBSTONE_ACCOUNT_ID, SaleData, TransferCode
from protocols.ids import compensation_id
from switch.batches import BATCH_TAGS
from switch.pipeline.context import Context

#: A tombstone moves nothing; the ledger wants two different ids, and neither has an account.
_TOMBSTONE_CREDIT_ID = TOMBSTONE_ACCOUNT_ID - 1


def sale_data(context: Context) -> SaleData:
    """Give what the record of a sale says of it beside money and accounts."""
    return _data(context, context.request.atc, context.card_tag)


def sale(
    context: Context, data: SaleData, code: TransferCode, *, is_partial: bool = False
) -> Transfer:
    """Give the transfer of a sale: from the card's account to the shop's, in the purse.

    With `is_partial` the ledger takes what the card has, at most the amount asked.
    """
    request = context.request
    return Transfer(
        id=context.transfer_id,
        debit_account_id=context.card_found.account_id,
        credit_account_id=context.payable_account_id,
        amount=request.amount_sen,
        ledger=context.purse,
        code=code,
        flags=TransferFlags.BALANCING_DEBIT if is_partial else 0,
        user_data_128=context.fingerprint,
        user_data_64=data.pack(),
        user_data_32=context.terminal.terminal_number,
    )


def compensation(
    context: Context, original: Transfer, ordinal: int, amount_sen: int, code: TransferCode
) -> Transfer:
    """Give the transfer that undoes `amount_sen` of an original, on the original's own accounts."""
    assert 0 < amount_sen <= original.amount
    return Transfer(
        id=compensation_id(original.id, ordinal),
        debit_account_id=original.credit_account_id,
        credit_account_id=original.debit_account_id,
        amount=amount_sen,
        ledger=original.ledger,
        code=code,
        user_data_128=original.id,
        user_data_64=_data(context, 0, 0).pack(),
        user_data_32=context.terminal.terminal_number,
    )


def restoration(done: Transfer, sale_id: int, ordinal: int) -> Transfer:
    """Give the transfer that undoes a void or refund: the sale stands again by as much.

    It carries the terminal and STAN of what it undoes, so that it is made once only.
    """
    return Transfer(
        id=compensation_id(sale_id, ordinal),
        debit_account_id=done.credit_account_id,
        credit_account_id=done.debit_account_id,
        amount=done.amount,
        ledger=done.ledger,
        code=TransferCode.RESTORATION,
        user_data_128=sale_id,
        user_data_64=done.user_data_64,
        user_data_32=done.user_data_32,
    )


def marker(context: Context, sale: Transfer, code: TransferCode) -> Transfer:
    """Give the transfer that burns the key of a void or refund itself, naming the sale it undoes.

    It is posted right behind the compensation, whose id is the sale's: so a repeat or a reversal of
    the void finds, by the void's own key, what became of it.
    """
    burnt = tombstone(context, context.transfer_id, sale.ledger)
    return replace(burnt, code=code, user_data_128=sale.id)


def tombstone(context: Context, burnt_id: int, ledger: int) -> Transfer:
    """Give the transfer that can only fail, and by failing burns an id for ever."""
    return Transfer(
        id=burnt_id,
        debit_account_id=TOMBSTONE_ACCOUNT_ID,
        credit_account_id=_TOMBSTONE_CREDIT_ID,
        amount=0,
        ledger=ledger,
        code=TransferCode.TOMBSTONE,
        user_data_64=_data(context, 0, 0).pack(),
        user_data_32=context.terminal.terminal_number,
    )


def _data(context: Context, atc: int, card_tag: int) -> SaleData:
    return SaleData(
        atc=atc,
        business_date=context.desk.memory.business_date,
        stan=int(context.request.stan),
        card_tag=card_tag,
        batch_tag=context.request.batch % BATCH_TAGS,
    )
