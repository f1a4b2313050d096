"""Unpacking a benchmark's archive safely: nothing leaves the folder, nothing is written over.

Every member is looked at before the first byte is written. Absolute paths, paths that climb out of
the folder, links and devices are refused; so is an archive that is larger than the free space.
Files appear in the folder only when all of them are unpacked.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError),
    *(RuntimeError, NotImplementedError, ValueError),  # encrypted or of an unknown compression
)


class Member(NamedTuple):
    """A file in an archive: its path there, its size, and what opens it."""

    path: str
    size: int
    kind: str  # "file", or what it is instead
    open: Callable[[], IO[bytes] | None]


def zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    """Files of a zip archive, not its folders."""
    for info in archive.infolist():
        mode = info.external_attr >> 16
        kind = "a link" if stat.S_ISLNK(mode) else "file"
        if not info.is_dir():
            yield Member(info.filename, info.file_size, kind, lambda info=info: archive.open(info))


def tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    """Files of a tar archive, not its folders."""
    for info in archive:
        linked = "a link" if info.issym() or info.islnk() else "a device"
        kind = "file" if info.isreg() else linked
        if not info.isdir():
            yield Member(info.name, info.size, kind, lambda info=info: archive.extractfile(info))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Errors of reading an archive, as a ValueError that names it."""
    try:
        yield
    except BROKEN as error:
        raise ValueError(f"{path} is damaged, cut off or cannot be read: {error}") from None


def members_of(path: Path, stack: ExitStack) -> list[Member] | None:
    """The members of a zip or tar archive, open as long as the stack; None for any other file."""
    if zipfile.is_zipfile(path):
        return list(zip_members(stack.enter_context(zipfile.ZipFile(path))))
    if tarfile.is_tarfile(path):
        return list(tar_members(stack.enter_context(tarfile.open(path))))
    return None


@contextmanager
def opened(path: Path) -> Iterator[list[Member]]:
    """The members of an archive; a ValueError for any other file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file; expected an archive")
    with ExitStack() as stack:
        with readable(path):
            members = members_of(path, stack)
        if members is None:
            raise ValueError(f"{path} is no zip or tar archive, or it is cut off")
        yield members


def check_member(archive: Path, member: Member) -> None:
    """A ValueError unless the member is a file that stays in its folder."""
    path, windows = PurePosixPath(member.path), PureWindowsPath(member.path)
    if member.kind != "file":
        raise ValueError(f"{archive}: {member.path} is {member.kind}; expected files only")
    if path.is_absolute() or windows.drive or "\\" in member.path or ".." in path.parts:
        raise ValueError(f"{archive}: {member.path} leaves the folder it is unpacked in")


def check_place(archive: Path, path: PurePosixPath, root: Path) -> None:
    """A FileExistsError that names what is in the way of a member."""
    if os.path.lexists(root / path):
        raise FileExistsError(f"{root / path} exists; move it away or unpack elsewhere")
    for parent in path.parents:
        folder = root / parent
        if os.path.lexists(folder) and not folder.is_dir():
            raise FileExistsError(f"{folder} is no folder; expected one for {archive}: {path}")


def check(archive: Path, members: list[Member], root: Path) -> None:
    """A sentence that names the first member that is refused, or what is in the way."""
    seen: set[PurePosixPath] = set()
    for member in members:
        check_member(archive, member)
        path = PurePosixPath(member.path)
        if path in seen:
            raise ValueError(f"{archive}: {member.path} is in it twice; expected each file once")
        check_place(archive, path, root)
        seen.add(path)
    total, free = sum(member.size for member in members), shutil.disk_usage(root).free
    if total > free:
        raise ValueError(f"{archive} unpacks to {total} bytes; {root} has room for {free}")


def copy(members: list[Member], folder: Path) -> None:
    """Write the members below a folder of their own."""
    for member in members:
        target = folder / member.path
        target.parent.mkdir(parents=True, exist_ok=True)
        source = member.open()
        if source is None:
            raise ValueError(f"{member.path} cannot be opened")
        with source, target.open("xb") as file:
            shutil.copyfileobj(source, file)


def unpack(archive: str | Path, root: str | Path) -> int:
    """Unpack a zip or tar archive below `root`; returns the number of files, all or none."""
    path, root = Path(archive), Path(root)
    with opened(path) as members:
        root.mkdir(parents=True, exist_ok=True)
        check(path, members, root)
        with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as folder:
            with readable(path):
                copy(members, Path(folder))
            for member in members:
                (root / member.path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / member.path).rename(root / member.path)
    return len(members)
