"""Files: where they live, how they are written whole or not at all, what they say of themselves.

Every result is a *manifest*, a JSON object with the keys step, identity, provenance and result.
`identity` holds the values that fixed the result (profile, task, settings, hashes of what it was
made from); a manifest whose identity differs from what is asked for is refused by name, and none is
ever written over.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, TypeVar

Result = TypeVar("Result")

RESULTS, WEIGHTS, CHECKPOINTS = "results", "weights", "checkpoints"
PACKAGES = ("ensrepro", "torch", "numpy", "numba", "optuna", "scikit-image")
MANIFEST_KEYS = {"step", "identity", "provenance", "result"}


def checkout() -> Path | None:
    """The checkout that this package is run from, if it is."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder
    return None


def repository() -> Path:
    """The checkout that this package is run from; else the current folder."""
    return checkout() or Path.cwd()


@dataclass(frozen=True)
class Store:
    """Where one profile and task keep their files, in folders called task + `suffix`.

    New files go below `root`; what is not there is read from `fallback`, usually the repository
    with the committed results (None: nothing but `root` is read).
    """

    profile: str
    task: str
    root: Path
    fallback: Path | None = None
    suffix: str = ""

    def own(self, kind: str, name: str) -> Path:
        """The file below `root`: the one to write."""
        return self.root / kind / self.profile / f"{self.task}{self.suffix}" / name

    def found(self, kind: str, name: str) -> Path:
        """The file to read: the own one, else the committed one if there is one."""
        own = self.own(kind, name)
        if self.fallback is None or own.exists():
            return own
        committed = replace(self, root=self.fallback).own(kind, name)
        return committed if committed.exists() else own

    def manifest(self, step: str) -> Path:
        """The manifest to read; if it does not exist, the one to write."""
        return self.found(RESULTS, f"{step}.json")

    def weights(self, name: str) -> Path:
        """The weights to read."""
        return self.found(WEIGHTS, f"{name}.safetensors")

    def new_weights(self, name: str) -> Path:
        """The weights to write."""
        return self.own(WEIGHTS, f"{name}.safetensors")

    def ledger(self, name: str) -> Path:
        """A file that is appended to, so never the committed one: its contents are copied first."""
        own = self.own(RESULTS, f"{name}.jsonl")
        committed = self.found(RESULTS, f"{name}.jsonl")
        if committed != own:
            copied = own.with_name(f".{own.name}.{os.getpid()}")
            write_bytes(copied, committed.read_bytes())
            with suppress(FileExistsError):  # another process was first, and may have added to it
                os.link(copied, own)
            copied.unlink()
        return own

    def checkpoint(self, name: str) -> Path:
        """Progress of a training, never committed."""
        return self.own(CHECKPOINTS, f"{name}.pt")


@dataclass(frozen=True)
class Provenance:
    """Under which circumstances a file was made."""

    profile: str
    task: str
    seed: int
    commit: str
    created: str
    seconds: float
    machine: str
    threads: int
    versions: dict[str, str]


@lru_cache(maxsize=1)
def commit() -> str:
    """Short hash of the checked-out commit, `+` if sources differ from it; `unknown` without."""
    if checkout() is None:  # the current folder may be a checkout too, but of something else
        return "unknown"
    try:
        git = ["git", "-C", str(checkout())]
        name = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "src"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}+" if changed else name


def now() -> str:
    """UTC, ISO 8601 with microseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def installed(package: str) -> str:
    """The installed version of a package, or `absent`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def provenance(profile: str, task: str, seed: int, seconds: float, threads: int) -> Provenance:
    """The circumstances of this very moment."""
    return Provenance(
        profile=profile,
        task=task,
        seed=seed,
        commit=commit(),
        created=now(),
        seconds=round(seconds, 2),
        machine=f"{cpu_model()}, {platform.system()} {platform.machine()}",
        threads=threads,
        versions={package: installed(package) for package in PACKAGES},
    )


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that replaces `path` at once, when it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` at once: after a crash it is the old file or the new one, never a part."""
    with replacing(path) as file:
        file.write(content)


def refused(constant: str) -> None:
    """NaN and Infinity, which Python's reader of JSON takes but JSON does not have."""
    raise ValueError(f"it holds {constant}")


def scalar(value: Any) -> Any:
    """A number of another library as Python's; a TypeError for anything else."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} has no place in a manifest")


def plain(value: Any) -> Any:
    """The value as JSON would give it back: tuples become lists, numpy scalars Python's."""
    return json.loads(json.dumps(value, default=scalar))


def write_manifest(
    path: Path, step: str, identity: Mapping[str, Any], made: Provenance, result: Any
) -> None:
    """Write a step's result, a dataclass of plain values; a ValueError if it holds NaN or inf."""
    content = {"step": step, "identity": dict(identity)}
    content |= {"provenance": asdict(made), "result": asdict(result)}
    try:
        text = json.dumps(content, indent=1, allow_nan=False, default=scalar)
    except ValueError as error:
        raise ValueError(f"{path} is not written: {error}") from None
    write_bytes(path, text.encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """A manifest's content; a ValueError names a file that is no manifest."""
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a manifest: {error}") from None
    whole = isinstance(content, dict) and set(content) == MANIFEST_KEYS
    if not whole or not all(isinstance(content[key], dict) for key in MANIFEST_KEYS - {"step"}):
        raise ValueError(f"{path} is not a manifest: expected the keys {sorted(MANIFEST_KEYS)}")
    return content


def read_manifest(path: Path, step: str, kind: type[Result], identity: Mapping[str, Any]) -> Result:
    """A step's result; refused if of another step, made from other values, or of other fields."""
    content = read_json(path)
    if content["step"] != step:
        raise ValueError(f"{path} is of the step {content['step']!r}, expected {step!r}")
    asked = plain(dict(identity))
    for key in [*asked, *sorted(content["identity"].keys() - asked.keys())]:
        found, expected = content["identity"].get(key), asked.get(key)
        if found != expected:
            raise ValueError(
                f"{path} was made with {key}={found!r}, expected {expected!r}; "
                "move it away to have it made anew"
            )
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(content["result"]) != names:
        raise ValueError(
            f"{path} holds the fields {sorted(content['result'])}, expected {sorted(names)}"
        )
    return kind(**content["result"])


class NotOnFileError(FileNotFoundError):
    """A result that is not on file where nothing may be computed."""


def load_or_run(
    path: Path,
    step: str,
    kind: type[Result],
    identity: Mapping[str, Any],
    compute: Callable[[], tuple[Result, Provenance]],
) -> Result:
    """The manifest's result if the file exists, else `compute()`, saved. Never written over."""
    if not path.exists():
        result, made = compute()
        write_manifest(path, step, identity, made, result)
    return read_manifest(path, step, kind, identity)
