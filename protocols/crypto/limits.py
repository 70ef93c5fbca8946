"""Named bounds of everything `protocols.crypto` reads or builds."""

#: Longest key block: what four decimal length digits can say, in whole 8-character steps.
KEY_BLOCK_CHARACTERS = 9_992
#: Most optional blocks in a key block header: two decimal digits. X9.143:2021, 6.1.
KEY_BLOCK_OPTIONS = 99
#: Longest key that a block may carry: an HMAC key of 1,024 bits; TDES and AES keys are shorter.
KEY_BLOCK_KEY_BYTES = 128
#: Longest RSA modulus of offline data authentication. EMV 4.4 Book 2, 5.1 and 6.1.
RSA_MODULUS_BYTES = 248
#: Shortest RSA modulus: 512 bits, the least any EMV card was ever issued with.
RSA_MODULUS_BYTES_MIN = 64
#: Longest static data to be authenticated: records of 254 bytes named by one AFL.
STATIC_DATA_BYTES = 16_384
