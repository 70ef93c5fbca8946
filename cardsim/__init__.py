"""Virtual chip cards: APDU in, APDU out, deterministic under a seed.

What lives here: card OS, EMV application, personalisation as data, faults, transports. What must
not: the terminal, the switch, the ledger. Card and terminal meet in APDUs only.
"""
