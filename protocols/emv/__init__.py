"""EMV data: BER-TLV, data object lists, the tag dictionary, named flags, APDU commands.

What lives here: how bytes between card, terminal and issuer are cut and named. What must not:
decisions about them (terminal kernel, card application), keys (`protocols.crypto`), I/O.
"""
