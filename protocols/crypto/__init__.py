"""Payment cryptography: MAC, PIN blocks, card keys and cryptograms, key blocks, DUKPT, ODA.

Keys come in as `SecretBytes` and leave as such; random bytes are an argument. Primitives come
from `cryptography` (`pure`) or from the native core (`protocols._core`); `engine` picks one.
What must not live here: key storage, I/O, clocks, randomness of its own.
"""
