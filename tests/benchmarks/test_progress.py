"""Rows on file: what a damaged line is, and in which file and line it stands."""

from __future__ import annotations

import re

import pytest

from ensrepro.benchmarks import progress

IDENTITY = {"benchmark": "test100", "weights": "0123"}
FIRST, SECOND = ({"image": name, "files": "ab", "psnr": 30.0, "ssim": 0.9} for name in ("2", "10"))


def opened(path):
    return progress.opened(path, IDENTITY, ["psnr", "ssim"])


@pytest.fixture
def path(tmp_path):
    """A file of two rows."""
    with opened(tmp_path / "test100.jsonl") as rows:
        rows.add(FIRST)
        rows.add(SECOND)
    return tmp_path / "test100.jsonl"


def test_rows_are_found_again(path):
    with opened(path) as rows:
        assert rows.by_image == {"2": FIRST, "10": SECOND}


def test_a_changed_image_has_no_row_and_the_last_one_counts(path):
    changed = FIRST | {"files": "cd", "psnr": 31.0}
    with opened(path) as rows:
        assert rows.has("2", "ab")
        assert not rows.has("2", "cd")
        assert not rows.has("3", "ab")
        rows.add(changed)
    with opened(path) as rows:
        assert rows.by_image == {"2": changed, "10": SECOND}


@pytest.mark.parametrize(
    "damaged",
    [
        b"garbage",
        b"\xff\xfe\x00",
        b"",
        b"[1]",
        b"null",
        b'{"files": "ab", "psnr": 30.0, "ssim": 0.9}',
        b'{"image": 2, "files": "ab", "psnr": 30.0, "ssim": 0.9}',
        b'{"image": "2", "psnr": 30.0, "ssim": 0.9}',
        b'{"image": "2", "files": 7, "psnr": 30.0, "ssim": 0.9}',
        b'{"image": "2", "files": "ab", "psnr": 30.0}',
        b'{"image": "2", "files": "ab", "psnr": "30", "ssim": 0.9}',
        b'{"image": "2", "files": "ab", "psnr": NaN, "ssim": 0.9}',
    ],
)
def test_a_damaged_line_is_named_with_its_file_and_number(path, damaged):
    identity, _, second, rest = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([identity, damaged, second, rest]))
    before = path.read_bytes()
    expected = re.escape(f"{path}, line 2: {damaged[:40]!r}; expected the row of an image")
    with pytest.raises(ValueError, match=expected), opened(path):
        pass
    assert path.read_bytes() == before


def test_without_the_damaged_line_the_other_rows_hold(path):
    """What the error tells a user to do."""
    identity, *rows = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([identity, *rows[1:]]))
    with opened(path) as kept:
        assert kept.by_image == {"10": SECOND}


@pytest.mark.parametrize("first", [b"garbage", b"[]", b'{"image": "2"}', b'{"identity": 5}'])
def test_a_file_that_begins_with_no_identity_is_refused_by_name(path, first):
    path.write_bytes(first + b"\n")
    expected = r"test100\.jsonl begins with .*; expected an evaluation"
    with pytest.raises(ValueError, match=expected), opened(path):
        pass
