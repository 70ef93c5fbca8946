"""The transaction switch: who may buy food with which card, and what the ledger then says.

Cores (`core`, `session`, `pipeline`, `flows`) do no I/O: frames, time, randomness and results come
in as arguments, answers and work come out as values. `server` is the asyncio adapter, `state` the
file of everything that is not money.
"""
