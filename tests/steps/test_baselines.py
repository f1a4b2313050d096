"""What teachers are compared with: on file once for all pairs that share a teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensrepro import artifacts
from ensrepro.steps import baselines, context


@pytest.mark.usefixtures("one_thread")
def test_pairs_of_one_teacher_share_the_rows_of_the_degraded_photos(tmp_path: Path):
    own = context.open_context("smoke", "derain", tmp_path, "restormer-edge")
    rows = baselines.rows(own)
    assert [row["method"] for row in rows] == ["input"] * len(own.test)
    written = sorted(path.parent.name for path in tmp_path.rglob("baseline-*.json"))
    assert written == ["derain"]  # not derain-edge
    home = context.open_context("smoke", "derain", tmp_path)
    assert artifacts.read_json(home.store.manifest("baseline-input"))["result"]["rows"] == rows
    assert baselines.rows(home) == rows
