"""The async transaction switch: links, pipeline, rules, keys, reversals.

The switch sees bytes on one side and the ledger on the other; it knows no terminal and no card.
"""
