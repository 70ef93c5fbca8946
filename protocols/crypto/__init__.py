"""Payment cryptography: MAC, PIN blocks, card keys and cryptograms, key blocks, DUKPT, ODA.

Keys come in as `SecretBytes` and leave as such; random bytes are an argument. Primitives come
from `cryptography` (`pure`) or from the native core (`protocols._core`); `engine` picks one.

Keys are looked at where they enter, and a weak one, one of zeros or of equal parts is refused
there: in key blocks and as their protection, as a PIN key, as base or initial key of DUKPT, as
issuer's and as PIN verification key, and in the programme's key store. Session keys are made, not
chosen, so derivations, MACs and cryptograms compute with what they are given.

What must not live here: key storage, I/O, clocks, randomness of its own.
"""
