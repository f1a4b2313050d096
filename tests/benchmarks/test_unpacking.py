"""Archives: unpacked whole or not at all, and never a byte outside the folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ensrepro.benchmarks import unpacking

FILES = {"test/GoPro/input/1.png": b"input", "test/GoPro/target/1.png": b"target"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("test")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], *special: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def everything(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder to unpack in, deep enough for ../.. to be seen."""
    path = tmp_path / "a" / "b"
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_files_are_unpacked_where_the_archive_says(tmp_path, root, pack):
    assert unpacking.unpack(pack(tmp_path / "archive", FILES), root) == 2
    assert everything(root) == FILES
    assert [p.name for p in root.iterdir()] == ["test"]  # nothing else is left


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:evil", "..\\evil"])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path, root, pack, name):
    archive = pack(tmp_path / "archive", FILES | {name: b"evil"})
    before = everything(tmp_path)
    with pytest.raises(ValueError, match="leaves the folder it is unpacked in"):
        unpacking.unpack(archive, root)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "member",
    [
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("test/link", tarfile.SYMTYPE, "../../.."),
        special("hard", tarfile.LNKTYPE, "../../outside"),
        special("device", tarfile.CHRTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_links_and_devices_are_refused(tmp_path, root, member):
    archive = tarred(tmp_path / "archive.tar.gz", FILES, member)
    with pytest.raises(ValueError, match=r"is a (link|device); expected files only"):
        unpacking.unpack(archive, root)
    assert everything(root) == {}


def test_a_link_in_a_zip_archive_is_refused(tmp_path, root):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("test/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(ValueError, match="test/link is a link; expected files only"):
        unpacking.unpack(path, root)


def test_no_file_is_written_over(tmp_path, root):
    (root / "test/GoPro/target").mkdir(parents=True)
    (root / "test/GoPro/target/1.png").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"1\.png exists; move it away"):
        unpacking.unpack(zipped(tmp_path / "archive.zip", FILES), root)
    assert everything(root) == {"test/GoPro/target/1.png": b"mine"}


@pytest.mark.parametrize("is_dangling", [False, True])
def test_a_file_where_a_folder_is_needed_is_named_and_nothing_is_unpacked(
    tmp_path, root, is_dangling
):
    if is_dangling:
        (root / "test").symlink_to("nowhere")
    else:
        (root / "test").write_bytes(b"mine")
    archive = zipped(tmp_path / "archive.zip", {"one.png": b"one", "test/x/y.png": b"two"})
    with pytest.raises(FileExistsError, match=r"test is no folder; expected one for .*x/y\.png"):
        unpacking.unpack(archive, root)
    assert [path.name for path in root.iterdir()] == ["test"]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_half_downloaded_archive_leaves_nothing(tmp_path, root, pack, share):
    path = pack(tmp_path / "archive", {f"{i}.png": bytes([i]) * 5000 for i in range(20)})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"archive.* (cut off|damaged)"):
        unpacking.unpack(path, root)
    assert everything(root) == {}


def test_a_zip_archive_with_a_changed_byte_leaves_nothing(tmp_path, root):
    path = zipped(tmp_path / "archive.zip", {"1.png": b"abc" * 100})
    content = bytearray(path.read_bytes())
    content[content.index(b"1.png") + 8] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"archive\.zip is damaged"):
        unpacking.unpack(path, root)
    assert everything(root) == {}


def test_what_is_no_archive_is_refused(tmp_path, root):
    (tmp_path / "photo.png").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"photo\.png is no zip or tar archive"):
        unpacking.unpack(tmp_path / "photo.png", root)
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        unpacking.unpack(tmp_path / "absent", root)


def test_an_archive_larger_than_the_free_space_is_refused(tmp_path, root, monkeypatch):
    path = zipped(tmp_path / "archive.zip", FILES)
    usage = unpacking.shutil.disk_usage(root)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(ValueError, match=r"unpacks to 11 bytes; .* has room for 10"):
        unpacking.unpack(path, root)
