"""Primes of the form that CVE-2017-15361 (ROCA) found in faulty key generators.

Such a prime is k * M + (65537^a mod M), M the product of the first small primes; modulo each of
them it is a power of 65537, and so is the product of two such primes: that betrays a modulus.
Source: Nemec, Sys, Svenda, Klinec, Matyas, "The Return of Coppersmith's Attack", CCS 2017.
"""

from itertools import islice
from math import prod

from protocols.clock import RandomBytes
from protocols.crypto.errors import KeyRefusedError
from protocols.crypto.rsa import is_probable_prime

_GENERATOR = 65537
#: Small primes whose product M is, for keys of 992 to 1,952 bits. Table 1 of the paper.
_FACTORS = 71
#: Candidates before giving up: some fifty times what primes of 512 bits need.
_CANDIDATES_MAX = 20_000


def _small_primes() -> tuple[int, ...]:
    candidates = (n for n in range(2, 1000) if all(n % d for d in range(2, n)))
    return tuple(islice(candidates, _FACTORS))


SMALL_PRIMES = _small_primes()
_PRODUCT = prod(SMALL_PRIMES)


def betrays_itself(modulus: int) -> bool:
    """Tell whether a modulus is a power of 65537 modulo every small prime.

    >>> betrays_itself(65537**3 % _PRODUCT + 5 * _PRODUCT), betrays_itself(7 * 11 * 13)
    (True, False)
    """
    return all(modulus % prime in _powers(prime) for prime in SMALL_PRIMES)


def _powers(prime: int) -> set[int]:
    found, power = set(), 1
    while power not in found:
        found.add(power)
        power = power * _GENERATOR % prime
    return found


def weak_prime(bits: int, random_bytes: RandomBytes) -> int:
    """Give a prime of this form that suits public exponent 3, its two highest bits set.

    Raises KeyRefusedError when the random bytes are not random.
    """
    lowest = (3 << bits - 2) // _PRODUCT + 1
    room = (1 << bits) // _PRODUCT - lowest
    for _ in range(_CANDIDATES_MAX):
        # An odd exponent: the prime is 2 modulo 3 then, as public exponent 3 needs.
        exponent = int.from_bytes(random_bytes(16), "big") | 1
        multiple = lowest + int.from_bytes(random_bytes(16), "big") % room
        candidate = multiple * _PRODUCT + pow(_GENERATOR, exponent, _PRODUCT)
        if is_probable_prime(candidate, random_bytes):
            return candidate
    raise KeyRefusedError("no prime found: the random bytes are not random")
