"""Where the control channel's socket lies, however long the data directory's path is."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from switch.control import SOCKET_NAME

#: Bytes that a Unix address may have on every system that we know.
_ADDRESS_BYTES_MAX = 100


@contextmanager
def socket_address(directory: Path) -> Iterator[str]:
    """Give the address of the socket in a directory; valid while the context lasts.

    A path that is too long for an address is reached through the directory's descriptor.
    """
    plain = str(directory / SOCKET_NAME)
    if len(os.fsencode(plain)) <= _ADDRESS_BYTES_MAX:
        yield plain
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def listen(directory: Path) -> socket.socket:
    """Give a listening socket, mode 0600; whoever calls holds the directory's lock.

    A socket that a killed switch left is removed. Raises OSError.
    """
    (directory / SOCKET_NAME).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(directory) as address:
            mask = os.umask(0o177)
            try:
                found.bind(address)
            finally:
                os.umask(mask)
        found.listen(8)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found


def peer_user(sock: socket.socket) -> int:
    """Give the user id of the process at the other end."""
    size = struct.calcsize("3i")
    _pid, user, _group = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, _PEER, size))
    return int(user)


#: SO_PEERCRED of Linux; another system has no such socket option and then no control channel.
_PEER = 17
