"""How the switch's transfers are built: sale, compensation, tombstone (design decisions 5, 6)."""

from ledger.structures import Transfer
from programme.chart import TOMBSTONE_ACCOUNT_ID, SaleData, TransferCode
from protocols.ids import compensation_id
from switch.pipeline.context import Context

#: A tombstone moves nothing; the ledger wants two different ids, and neither has an account.
_TOMBSTONE_CREDIT_ID = TOMBSTONE_ACCOUNT_ID - 1


def sale(context: Context) -> Transfer:
    """Give the transfer of a purchase: from the card's account to the shop's, in the purse."""
    request = context.request
    return Transfer(
        id=context.transfer_id,
        debit_account_id=context.card_found.account_id,
        credit_account_id=context.payable_account_id,
        amount=request.amount_sen,
        ledger=context.purse,
        code=TransferCode.PURCHASE,
        user_data_128=context.fingerprint,
        user_data_64=_data(context, request.atc, context.card_tag),
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
        user_data_64=_data(context, 0, 0),
        user_data_32=context.terminal.terminal_number,
    )


def tombstone(context: Context, original_id: int, ledger: int) -> Transfer:
    """Give the transfer that can only fail, and by failing burns the original's id for ever."""
    return Transfer(
        id=original_id,
        debit_account_id=TOMBSTONE_ACCOUNT_ID,
        credit_account_id=_TOMBSTONE_CREDIT_ID,
        amount=0,
        ledger=ledger,
        code=TransferCode.TOMBSTONE,
        user_data_64=_data(context, 0, 0),
        user_data_32=context.terminal.terminal_number,
    )


def _data(context: Context, atc: int, card_tag: int) -> int:
    return SaleData(
        atc=atc,
        business_date=context.desk.memory.business_date,
        stan=int(context.request.stan),
        card_tag=card_tag,
    ).pack()
