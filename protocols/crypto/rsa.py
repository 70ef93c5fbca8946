"""RSA as EMV uses it: the bare operation both ways, and keys made from given randomness.

`cryptography` does not expose the bare operation: the private one runs in the engine (in constant
time in the native one, plain integers in the pure one), the public one is integer arithmetic. For
test cards and test CAs: neither is blinded. Source: EMV 4.4 Book 2, Annex B2.1.
"""

from dataclasses import dataclass
from math import gcd, isqrt, prod

from protocols.clock import RandomBytes
from protocols.crypto import limits
from protocols.crypto.engine import PowerContext, current
from protocols.crypto.errors import CertificateError, KeyRefusedError

#: The only public exponents EMV knows.
EXPONENTS = (3, 65537)

_MILLER_RABIN_ROUNDS = 24
_SMALL_PRIMES = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, isqrt(n) + 1, 2)))
_SMALL_PRODUCT = prod(_SMALL_PRIMES)
#: Candidates per prime before giving up: some 50 times the expected number at 1,024 bits.
_CANDIDATES_MAX = 40_000


@dataclass(frozen=True, slots=True)
class RsaPublicKey:
    """A public key; `modulus` as big-endian bytes without leading zeros.

    Raises KeyRefusedError for an even modulus, a length outside 64 to 248 bytes, a leading zero
    bit, or an exponent that EMV does not know.
    """

    modulus: bytes
    exponent: int

    def __post_init__(self) -> None:
        """Refuse what is no EMV key."""
        size = len(self.modulus)
        if not limits.RSA_MODULUS_BYTES_MIN <= size <= limits.RSA_MODULUS_BYTES:
            raise KeyRefusedError(f"an RSA modulus of {size} bytes")
        if not self.modulus[0] & 0x80 or not self.modulus[-1] & 1:
            raise KeyRefusedError("an RSA modulus that is even or begins with a zero bit")
        if self.exponent not in EXPONENTS:
            raise KeyRefusedError("an RSA exponent other than 3 and 65537")

    def __len__(self) -> int:
        return len(self.modulus)

    @property
    def exponent_bytes(self) -> bytes:
        """Give the exponent as tags 9F32 and 9F47 carry it.

        >>> RsaPublicKey(b"\\xff" * 64, 65537).exponent_bytes.hex()
        '010001'
        """
        return self.exponent.to_bytes(1 if self.exponent == 3 else 3, "big")

    def recover(self, signed: bytes) -> bytes:
        """Give what a signature hides, or encipher: the value to the public exponent.

        Raises CertificateError when it is not exactly as long as, and less than, the modulus.
        """
        if len(signed) != len(self.modulus):
            raise CertificateError(f"{len(signed)} bytes under a key of {len(self.modulus)}")
        value, modulus = int.from_bytes(signed, "big"), int.from_bytes(self.modulus, "big")
        if value >= modulus:
            raise CertificateError("a value beyond the modulus")
        return pow(value, self.exponent, modulus).to_bytes(len(self.modulus), "big")


class RsaPrivateKey:
    """A private key in two primes. Prints nothing, is never pickled; contexts are kept.

    Made by `private_key` and `generate_key`.
    """

    __slots__ = ("_coefficient", "_power_p", "_power_q", "prime_p", "prime_q", "public")

    def __init__(self, public: RsaPublicKey, prime_p: int, prime_q: int, secret: int) -> None:
        """Set up both halves of the Chinese remainder."""
        self.public = public
        self.prime_p, self.prime_q = prime_p, prime_q
        self._power_p = _power(prime_p, secret)
        self._power_q = _power(prime_q, secret)
        self._coefficient = pow(prime_q, -1, prime_p)

    def __repr__(self) -> str:
        return f"<RsaPrivateKey {len(self.public)} bytes>"

    def __reduce__(self) -> str:
        raise TypeError("an RsaPrivateKey is never pickled (design decision 15)")

    def sign(self, content: bytes) -> bytes:
        """Give content to the private exponent: a signature, or a decipherment.

        Raises CertificateError when it is not exactly as long as, and less than, the modulus.
        """
        size = len(self.public)
        value = int.from_bytes(content, "big")
        if len(content) != size or value >= self.prime_p * self.prime_q:
            raise CertificateError(f"a value that a key of {size} bytes cannot take")
        part_p, part_q = (
            int.from_bytes(half.power((value % prime).to_bytes(_size(prime), "big")), "big")
            for half, prime in ((self._power_p, self.prime_p), (self._power_q, self.prime_q))
        )
        lift = self._coefficient * (part_p - part_q) % self.prime_p
        return (part_q + lift * self.prime_q).to_bytes(size, "big")


def private_key(prime_p: int, prime_q: int, exponent: int = 3) -> RsaPrivateKey:
    """Give the key of two primes; raise KeyRefusedError when the exponent does not fit them."""
    totient = (prime_p - 1) * (prime_q - 1)
    if prime_p == prime_q or gcd(exponent, totient) != 1:
        raise KeyRefusedError("two primes that make no RSA key with this exponent")
    modulus = prime_p * prime_q
    public = RsaPublicKey(modulus.to_bytes(_size(modulus), "big"), exponent)
    return RsaPrivateKey(public, prime_p, prime_q, pow(exponent, -1, totient))


def _power(prime: int, secret: int) -> PowerContext:
    size = _size(prime)
    exponent = (secret % (prime - 1)).to_bytes(size, "big")
    return current.engine.ModPower(prime.to_bytes(size, "big"), exponent)


def _size(number: int) -> int:
    return (number.bit_length() + 7) // 8


def generate_key(bits: int, random_bytes: RandomBytes, exponent: int = 3) -> RsaPrivateKey:
    """Give a key of exactly `bits` (a multiple of 16, 512 to 1,984): the same for the same seed.

    Raises KeyRefusedError for other sizes, or when the random bytes are not random.
    """
    low, high = 8 * limits.RSA_MODULUS_BYTES_MIN, 8 * limits.RSA_MODULUS_BYTES
    if bits % 16 or not low <= bits <= high or exponent not in EXPONENTS:
        raise KeyRefusedError(f"RSA keys have {low} to {high} bits, in steps of 16")
    prime_p = _prime(bits // 2, random_bytes, exponent)
    prime_q = _prime(bits // 2, random_bytes, exponent)
    return private_key(prime_p, prime_q, exponent)


def _prime(bits: int, random_bytes: RandomBytes, exponent: int) -> int:
    """Give a prime whose two highest bits are set, so that two of them fill the modulus."""
    for _ in range(_CANDIDATES_MAX):
        candidate = int.from_bytes(random_bytes(bits // 8), "big") | 3 << bits - 2 | 1
        if gcd(candidate, _SMALL_PRODUCT) != 1 or candidate % exponent == 1:
            continue
        if is_probable_prime(candidate, random_bytes):
            return candidate
    raise KeyRefusedError("no prime found: the random bytes are not random")


def is_probable_prime(candidate: int, random_bytes: RandomBytes) -> bool:
    """Tell by Miller-Rabin, after a first round to base 2 that ends most composites."""
    odd, twos = candidate - 1, 0
    while not odd & 1:
        odd >>= 1
        twos += 1
    size = (candidate.bit_length() + 7) // 8
    for number in range(_MILLER_RABIN_ROUNDS):
        base = 2 + int.from_bytes(random_bytes(size), "big") % (candidate - 3) if number else 2
        witness = pow(base, odd, candidate)
        if witness in (1, candidate - 1):
            continue
        for _ in range(twos - 1):
            witness = witness * witness % candidate
            if witness == candidate - 1:
                break
        else:
            return False
    return True
