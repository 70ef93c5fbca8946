"""The EDC on the counter: EMV kernel, card readers, host session, receipts.

The terminal knows bytes and APDUs only: no ledger, no registry, no card simulator, no switch.
"""
