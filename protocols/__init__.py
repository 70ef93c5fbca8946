"""Wire formats and the vocabulary every package shares.

What lives here: ISO 8583, framing, EMV data, MAC, PIN blocks, key blocks, and the words that
terminal, switch and programme have in common (card numbers that refuse to print, refusals,
texts, transfer ids). What must not: sockets, files other than this package's own data, clocks,
randomness. Bytes, time and random bytes come in as arguments.
"""
