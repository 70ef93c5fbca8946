"""A PIN pad on a serial line: the PIN leaves it only as an enciphered PIN block."""
