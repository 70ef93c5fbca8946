"""The keeper of a private pcscd: the one program that runs inside the namespaces.

Started by `lumbung.pcsc` as a program of its own; imports nothing of ours. It makes a mount
namespace (and, for an ordinary user, a user namespace), binds a directory of ours over
/run/pcscd, and keeps a thread in a network namespace in which pcscd and its virtual readers
listen: the driver binds all addresses, and there "all" is one loopback that nobody else sees.
Commands run with the machine's own network, so that a terminal under test reaches its host.

It takes JSON requests on an inherited socket and answers each; connections to readers are handed
over as file descriptors. When the socket closes, everything it started is stopped by its pid.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_LIMIT_NAMES = {_CLONE_NEWNS: "mnt", _CLONE_NEWUSER: "user", _CLONE_NEWNET: "net"}
_CAP_SYS_ADMIN = 21
_PR_SET_PDEATHSIG = 1
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
# rtnetlink(7): replace the route to 127.0.0.1 in the table of local ones.
_RTM_NEWROUTE, _NLM_REQUEST_ACK_REPLACE = 24, 0x1 | 0x4 | 0x100
_RT_TABLE_LOCAL, _RTPROT_KERNEL, _RT_SCOPE_HOST, _RTN_LOCAL = 255, 2, 254, 2
_RTA_DST, _RTA_OIF, _RTA_PREFSRC, _RTA_METRICS, _RTAX_QUICKACK = 1, 4, 7, 8, 15
#: The shortest frame of the card wire that asks for anything: two bytes of length and a control.
_SHORTEST_FRAME = 3
_RUN = Path("/run/pcscd")
_TCP_LISTENING = "0A"
_REQUEST_BYTES = 65_536
_CONNECT_S = 5.0
_STOP_S = 3.0
_POLL_S = 0.005

_libc = ctypes.CDLL(None, use_errno=True)


class NotPossibleError(Exception):
    """What this machine does not let us do, in words."""


def main() -> int:
    """Serve requests until the other side closes; give the exit code."""
    # The person's Ctrl-C is for the command; we end when it has ended. A handler of ours, not
    # SIG_IGN, because only that is put back to the default in what we start.
    signal.signal(signal.SIGINT, lambda *_: None)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    settings: dict[str, Any] = json.loads(sys.argv[2])
    keeper = Keeper(control, settings)
    try:
        keeper.start()
    except NotPossibleError as refused:
        keeper.say({"failed": str(refused)})
        keeper.stop()
        return 1
    keeper.say({"ready": True})
    try:
        keeper.serve()
    finally:
        keeper.stop()
    return 0


class Keeper:
    """Namespaces, pcscd, and the command, as long as the control socket is open."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        """Take the socket and the settings; nothing is changed yet."""
        self._control = control
        self._settings = settings
        self._pcscd: subprocess.Popen[bytes] | None = None
        self._command: subprocess.Popen[bytes] | None = None
        self._sending = threading.Lock()
        self._network = ThreadPoolExecutor(1, "network")
        self._acknowledges_at_once = False

    def say(self, answer: dict[str, Any]) -> None:
        """Send one answer; the other side may be gone, then there is nobody to tell."""
        with self._sending, contextlib.suppress(OSError):
            self._control.send(json.dumps(answer).encode())

    def start(self) -> None:
        """Make the namespaces and start pcscd in them; raise NotPossibleError."""
        if not _may_administer():
            _become_root_of_our_own()
        _unshare(_CLONE_NEWNS, "mount")
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
        if not _RUN.is_dir():
            # Nothing is made on the machine itself: an empty /run of our own carries it.
            _mount("tmpfs", "/run", "tmpfs", 0)
            _RUN.mkdir()
        _mount(self._settings["run"], str(_RUN), "", _MS_BIND)
        self._network.submit(self._start_in_network).result()
        self._wait_until_up()

    def _start_in_network(self) -> None:
        _unshare(_CLONE_NEWNET, "network")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            flags = struct.pack("16sh", b"lo", _IFF_UP_RUNNING)
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, flags.ljust(40, b"\0"))
        self._acknowledges_at_once = _acknowledge_at_once()
        with Path(self._settings["log"]).open("wb") as log:
            command = [
                self._settings["pcscd"], "--foreground", "--config", self._settings["config"]
            ]  # fmt: skip
            self._pcscd = subprocess.Popen(  # noqa: S603 - the machine's own daemon
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=lambda: _begin_daemon(self._settings["core"]),
            )  # fmt: skip

    def _wait_until_up(self) -> None:
        assert self._pcscd is not None
        wanted = set(self._settings["ports"])
        missing = wanted
        deadline = time.monotonic() + self._settings["start_s"]
        while time.monotonic() < deadline:
            if self._pcscd.poll() is not None:
                raise NotPossibleError(f"pcscd ended at once with code {self._pcscd.returncode}")
            missing = wanted - self._network.submit(_listening_ports).result()
            if not missing and (_RUN / "pcscd.comm").exists():
                return
            time.sleep(_POLL_S)
        readers = [self._settings["ports"].index(port) for port in sorted(missing)]
        raise NotPossibleError(
            f"reader {', '.join(map(str, readers))} did not appear" if readers
            else "pcscd made no socket"
        )  # fmt: skip

    def serve(self) -> None:
        """Answer requests until the other side closes."""
        while raw := self._control.recv(_REQUEST_BYTES):
            request = json.loads(raw)
            if request["do"] == "connect":
                self._connect(int(request["reader"]))
            elif request["do"] == "run":
                self._run(request["command"], request["core"])
            elif request["do"] == "signal" and self._command is not None:
                self._command.send_signal(request["number"])

    def _connect(self, reader: int) -> None:
        try:
            made = self._network.submit(_connect, self._settings["ports"][reader]).result()
        except OSError as error:
            self.say({"connected": False, "why": error.strerror or "no connection"})
            return
        if self._acknowledges_at_once:
            # The length alone, which the driver sends by itself, does not wake the card.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _SHORTEST_FRAME)
        with made, self._sending:
            socket.send_fds(self._control, [b'{"connected": true}'], [made.fileno()])

    def _run(self, command: list[str], core: int | None) -> None:
        try:
            self._command = subprocess.Popen(command)  # noqa: S603 - what the person asked to run
        except OSError as error:
            self.say({"exit": 127, "why": f"{command[0]}: {error.strerror}"})
            return
        if core is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                os.sched_setaffinity(self._command.pid, {core})
        threading.Thread(target=self._tell_end, args=(self._command,), daemon=True).start()

    def _tell_end(self, command: subprocess.Popen[bytes]) -> None:
        code = command.wait()
        self.say({"exit": code if code >= 0 else 128 - code})

    def stop(self) -> None:
        """Stop what was started, by pid: first the command, then pcscd."""
        for process in (self._command, self._pcscd):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._network.shutdown()


def _begin_daemon(core: int | None) -> None:
    # A keeper that is killed outright can stop nothing any more; the kernel does. prctl(2).
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if core is not None:
        os.sched_setaffinity(0, {core})


def _may_administer() -> bool:
    """Tell whether this process may mount: root may not in most containers. capabilities(7)."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_ADMIN & 1)


def _become_root_of_our_own() -> None:
    """Enter a user namespace in which we are root. Source: user_namespaces(7)."""
    user, group = os.geteuid(), os.getegid()
    _unshare(_CLONE_NEWUSER, "user")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        raise NotPossibleError(
            f"namespaces are forbidden here (user map: {error.strerror})"
        ) from None


def _unshare(flag: int, what: str) -> None:
    if _libc.unshare(flag):
        number = ctypes.get_errno()
        # The kernel says "no space" when it means its own limit. user_namespaces(7), Errors.
        why = os.strerror(number)
        if number == errno.ENOSPC:
            why = f"the limit user.max_{_LIMIT_NAMES[flag]}_namespaces is reached"
        raise NotPossibleError(f"namespaces are forbidden here ({what}: {why})")


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    if _libc.mount(source.encode(), target.encode(), kind.encode(), flags, None):
        why = os.strerror(ctypes.get_errno())
        raise NotPossibleError(f"namespaces are forbidden here (mount {target}: {why})")


def _acknowledge_at_once() -> bool:
    """Have this thread's loopback acknowledge every segment; False where the kernel will not.

    The driver sends a frame's length and its body apart, the body only when the length was
    acknowledged. With this the kernel does that before the card has looked.
    """
    here = socket.inet_aton("127.0.0.1")
    body = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, 32, 0, 0, _RT_TABLE_LOCAL, _RTPROT_KERNEL, _RT_SCOPE_HOST,
        _RTN_LOCAL, 0,
    ) + b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value
        for kind, value in (
            (_RTA_DST, here),
            (_RTA_OIF, struct.pack("=I", socket.if_nametoindex("lo"))),
            (_RTA_PREFSRC, here),
            (_RTA_METRICS, struct.pack("=HHI", 8, _RTAX_QUICKACK, 1)),
        )
    )  # fmt: skip
    head = struct.pack("=IHHII", 16 + len(body), _RTM_NEWROUTE, _NLM_REQUEST_ACK_REPLACE, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.send(head + body)
            answer = netlink.recv(_REQUEST_BYTES)
    except OSError:
        return False  # a container may forbid these sockets: the card then asks, each time
    # An acknowledgement is an error message whose number is 0.
    return int.from_bytes(answer[16:20], sys.byteorder) == 0


def _listening_ports() -> set[int]:
    """Give the ports that listen in this thread's network namespace. Source: proc(5)."""
    found = set()
    for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _TCP_LISTENING:
            found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S)


if __name__ == "__main__":
    sys.exit(main())
