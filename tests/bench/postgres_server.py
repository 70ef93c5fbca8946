"""A private PostgreSQL for benches and tests: own folder, unix socket, fsync on."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

#: The server answers within this or it is not used.
START_S = 20


class PostgresMissingError(Exception):
    """The server or its client is not here; the text says how to have it."""


class Server:
    """A server of our own, stopped by its process id."""

    def __init__(self, directory: Path, **changed: object) -> None:
        """Make a database cluster in the folder and start it; `changed` settings come last."""
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        path = os.pathsep.join([str(p) for p in reversed(programs)] + [os.environ["PATH"]])
        initdb, postgres = shutil.which("initdb", path=path), shutil.which("postgres", path=path)
        if initdb is None or postgres is None:
            raise PostgresMissingError("no initdb and postgres here: apt-get install -y postgresql")
        self.directory = directory / "postgres"
        self.directory.mkdir()
        # The server refuses to run as root; any other user runs it as himself.
        account: dict[str, Any] = {"cwd": self.directory}
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError as error:
                raise PostgresMissingError("no user postgres to run the server as") from error
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            account |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = self.directory / "data"
        made = subprocess.run(
            [initdb, "-D", data, "-U", "bench", "--auth=trust", "--no-instructions", "-E", "UTF8"],
            capture_output=True, text=True, **account,
        )  # fmt: skip
        if made.returncode:
            raise PostgresMissingError(f"initdb failed: {made.stderr.strip()[-200:]}")
        settings = {
            "listen_addresses": "", "unix_socket_directories": self.directory, "fsync": "on",
            "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB",
            "max_wal_size": "4GB", "wal_level": "minimal", "max_wal_senders": 0, **changed,
        }  # fmt: skip
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [postgres, "-D", data, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **account,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop the server: fast, but orderly."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)
