"""A PostgreSQL server for tests: its own folder, a Unix socket in it, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest


def _program(name: str) -> str:
    """Path of one of PostgreSQL's programs; skips the test where it is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))  # Debian's, not on PATH
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    return found or pytest.skip(f"PostgreSQL is not installed: no {name}")


def _account() -> str | None:
    """Whom the server runs as: PostgreSQL refuses root, so another account is then needed."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return pytest.skip("PostgreSQL refuses to run as root, and there is no account postgres")


@contextmanager
def server() -> Iterator[str]:
    """The address of a fresh server's database `postgres`, which trusts everyone who may connect.

    A socket's path must be short, therefore the folder is not one of pytest's.
    """
    pytest.importorskip("psycopg", exc_type=ImportError)
    initdb, postgres, account = _program("initdb"), _program("postgres"), _account()
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if account is not None:
            shutil.chown(folder, account)
        identity = {"user": account, "group": pwd.getpwnam(account).pw_gid} if account else {}
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **identity,
        )
        options = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        with open(f"{folder}/log", "wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", data, *options], cwd=folder, stderr=log, **identity
            )
        address = f"postgresql+psycopg://tester@/postgres?host={quote(folder, safe='')}"
        try:
            _wait_until_ready(address, process)
            yield address
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing in it is needed again
            process.wait(timeout=60)


def _wait_until_ready(address: str, process: subprocess.Popen) -> None:
    import psycopg

    plain = address.replace("+psycopg", "")
    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        try:
            psycopg.connect(plain).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise TimeoutError("the server did not start")
