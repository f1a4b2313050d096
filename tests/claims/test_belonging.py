"""Only results that were made from one another are read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_entries import RESULT_CHECKS, ROOT, listed
from ledger_results import SEARCHED, ablated, finetuned, results, searched, uformer

from ensrepro import artifacts, claims
from ensrepro.claims import (
    Sources,
    Status,
    belonging,
)
from ensrepro.claims.belonging import NotMeasuredError, job, numbered
from ensrepro.config import UFORMER_PAIR
from ensrepro.space import RESTORMER, sampled
from ensrepro.space import UFORMER as UFORMER_SPACE

LABEL, OTHER = "T T 4 2 6 T T T", "T T 2 2 2 T T T"


def test_results_that_belong_together_are_read(tmp_path: Path) -> None:
    where = results(tmp_path, finetuned(LABEL))
    assert where.read("denoise", belonging.FINE_TUNING, "headline/chosen").value == LABEL


def edited(name: str, field: str, value: Any) -> dict[str, dict[str, Any]]:
    """A fine-tuning in which one field of one file is another than the rest implies."""
    files = finetuned(LABEL)
    files[name] = files.get(name, {}) | {field: value}
    return files


FIRST = job(RESTORMER.index(numbered(LABEL)), 0)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        # the case that was seen: notebook 5 ran again, notebook 6 did not
        (
            finetuned(LABEL) | searched(RESTORMER.index(numbered(OTHER))),
            f"has chosen {LABEL}, which is not among the candidates of 05_knee.manifest.json",
        ),
        (
            edited(FIRST, "result/test", [{"psnr": 22.41}]),
            f"tells another PSNR of hybrid than {FIRST} holds",
        ),
        (edited("teacher.json", "result/test", [{"psnr": 23.0}]), "tells another PSNR of teacher"),
        (edited(FIRST, "identity/pool", "old"), f"{FIRST} was made with another pool than"),
        (edited(FIRST, "identity/teacher", "old"), "was made with another teacher than is beside"),
        (edited(FIRST, "identity/images", {"test": "old"}), "was made with another images than"),
        (edited(FIRST, "step", "hybrid-00007-s0"), f"{FIRST} is of the step 'hybrid-00007-s0'"),
        (edited("pool.json", "identity/teacher", "old"), "pool.json was made with another teacher"),
        (edited("teacher.json", "identity/task", "derain"), "made with another task than is"),
        (
            edited("pool.json", "provenance/created", "2026-01-03T00:00:00+00:00"),
            "is older than pool.json, which it rests on; run that notebook again",
        ),
        (edited(belonging.FINE_TUNING, "parameters/task", "derain"), "is of another task; run"),
        (edited(belonging.FINE_TUNING, "parameters/profile", "smoke"), "is of another profile"),
        (edited(belonging.FINE_TUNING, "parameters/pair", "restormer-edge"), "is of another pair"),
        (  # the teacher with the same extra steps has seeds as the hybrid has
            edited(belonging.FINE_TUNING, "headline/test/longer", [22.3, 22.2]),
            "hybrid-00000-s1.json is not there yet",
        ),
        (
            edited(belonging.KNEE, "headline/candidates", [7]),
            f"has the candidate 7, which is not on the front of {SEARCHED}",
        ),
        (edited(belonging.KNEE, "headline/psnr_drop", 0.5), "tells another drop than"),
    ],
)
def test_a_result_that_does_not_belong_is_not_measured_yet(
    files: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    where = results(tmp_path, files)
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "denoise-above-teacher")
    one = claims.verdict(claim, "4.4", where)
    assert one.status is Status.QUOTED
    assert one.is_pending
    assert reason in one.evidence


@pytest.mark.parametrize(
    ("file", "good", "bad", "reason"),
    [
        (
            "study.json",
            {"result/runs": []},
            {"identity/table": "old"},
            "study.json was made with another table than is beside it",
        ),
        (
            "ens-bench.json",
            {"result/n_rows": 1},
            {"identity/networks": "old-p"},
            "ens-bench.json was made with another networks than",
        ),
        (
            belonging.SEARCH,
            {"headline/hypervolume": {"exact-ehvi": 7.0}},
            {"headline/hypervolume": {"exact-ehvi": 6.0}},
            f"tells another hypervolume than {SEARCHED} holds",
        ),
        (
            belonging.FIELDS,
            {"headline/spread": {"hybrid": {"encoder_1": 0.9}}},
            {"headline/spread": {"hybrid": {"encoder_2": 0.9}}},
            "shows a hybrid other than the knee of 05_knee.manifest.json",
        ),
        (
            belonging.DISTILLATION,
            {"headline/swap_drops": {"encoder_1 4": 1.0}, "headline/identity_drops": {"e": 2.0}},
            {"headline/swap_drops": {"encoder_1 4": 1.1}},
            "tells other drops than pool.json and teacher.json hold",
        ),
        (
            belonging.LANDSCAPE,
            {"headline/latency_sum_error": 0.2},  # 8 ms where a network takes 10
            {"headline/latency_sum_error": 0.1},
            "tells another error of latencies than ens-bench.json holds",
        ),
    ],
)
def test_each_manifest_is_held_against_what_it_was_made_from(
    file: str, good: dict[str, Any], bad: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    beside = searched(RESTORMER.index(numbered("T 2 2 2 2 2 2 2")))
    beside["hybrid-15313-s0.json"] = {}
    beside["pool.json"] = {
        "result/rows": [{"stage": "encoder_1", "depth": 4, "psnr_drop": 1.0}],
    }
    beside["teacher.json"] = {"result/identity_drops": {"e": 2.0}}
    beside["ens-bench.json"] = {"result/networks": [{"sum_ms": 8.0, "latency_ms": 10.0}]}
    own = {**beside.get(file, {}), **good}
    assert results(tmp_path / "good", beside | {file: own}).content("denoise", file)
    where = results(tmp_path / "bad", beside | {file: own | bad})
    with pytest.raises(NotMeasuredError, match=re.escape(reason)):
        where.content("denoise", file)


DRAWN = job(sampled(RESTORMER, 1, 0)[0], 0)
EQUAL_1 = "ablation-equal-s1.json"


@pytest.mark.parametrize(
    ("name", "field", "value", "reason"),
    [
        (EQUAL_1, "result/test", [{"psnr": 99.0}], f"another PSNR of equal_blocks than {EQUAL_1}"),
        (DRAWN, "result/test", [{"psnr": 99.0}], f"another PSNR of random_hybrids than {DRAWN}"),
        (FIRST, "identity/pool", "old", f"{FIRST} was made with another pool than is beside it"),
        (
            belonging.ABLATIONS,
            "headline/ssim",
            {"reinitialized": [0.22, 0.23]},
            "tells another SSIM of reinitialized than ablation-fresh-",
        ),
        (
            belonging.ABLATIONS,
            "headline/penalty",
            {"chosen": 1.0, "random_hybrids": [1.0] * 20},
            "tells other penalties than its hybrids have",
        ),
        (
            belonging.ABLATIONS,
            "headline/ssim",
            {"reinitialized": [0.22]},
            "tells 1 values of reinitialized; expected 2",
        ),
        (belonging.ABLATIONS, "headline", {"chosen": LABEL}, "tells nothing of 'psnr'"),
        (  # the case that was seen: a notebook of another hybrid, whose arms tell 99 dB
            belonging.ABLATIONS,
            "headline/chosen",
            OTHER,
            f"is of the hybrid {OTHER}, but 06_finetune.manifest.json has chosen {LABEL}",
        ),
        (
            "pool.json",
            "provenance/created",
            "2026-01-03T00:00:00+00:00",
            "is older than pool.json, which it rests on",
        ),
    ],
)
def test_the_ablations_are_held_against_the_networks_of_every_arm(
    name: str, field: str, value: Any, reason: str, tmp_path: Path
) -> None:
    files = ablated()
    assert results(tmp_path / "good", files).content("denoise", belonging.ABLATIONS)
    files[name] = files.get(name, {}) | {field: value}
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "distillation-matters")
    one = claims.verdict(claim, "4.5", results(tmp_path / "bad", files))
    assert one.status is Status.QUOTED
    assert one.is_pending
    assert reason in one.evidence


U_HYBRID = job(UFORMER_SPACE.index(UFORMER_SPACE.labeled("T 2 6 T 2 T T 2 1")), 1)


@pytest.mark.parametrize(
    ("name", "field", "value", "reason"),
    [
        (U_HYBRID, "result/test", [{"psnr": 99.0}], f"another PSNR of hybrid than {U_HYBRID}"),
        (job(0, 1), "result/test", [{"psnr": 99.0}], "PSNR of longer than hybrid-00000-s1.json"),
        ("teacher.json", "result/test", [{"psnr": 99.0}], "another PSNR of teacher than teacher"),
        (
            "teacher.json",
            "result/test",
            [{"psnr": 21.0, "ssim": 0.9}],
            "another SSIM of teacher than teacher.json",
        ),
        ("pool.json", "identity/teacher", "old", "pool.json was made with another teacher than"),
        (
            "pool.json",
            "provenance/created",
            "2026-01-03T00:00:00+00:00",
            "is older than pool.json, which it rests on",
        ),
        (belonging.UFORMER, "headline/chosen", "T " * 8 + "T", "tells another PSNR of hybrid"),
    ],
)
def test_table_6_is_held_against_the_networks_of_its_own_pair(
    name: str, field: str, value: Any, reason: str, tmp_path: Path
) -> None:
    files = uformer()
    where = results(tmp_path / "good", files, UFORMER_PAIR)
    assert where.content("denoise", belonging.UFORMER)
    files[name] = files.get(name, {}) | {field: value}
    where = results(tmp_path / "bad", files, UFORMER_PAIR)
    with pytest.raises(NotMeasuredError, match=re.escape(reason)):
        where.content("denoise", belonging.UFORMER)


def test_table_6_without_its_networks_is_not_measured_yet(tmp_path: Path) -> None:
    where = results(tmp_path, {belonging.UFORMER: uformer()[belonging.UFORMER]}, UFORMER_PAIR)
    (claim,) = (c for c in listed(claims.CLAIMS) if c.id == "uformer-pair-stays-close")
    one = claims.verdict(claim, "4.5", where)
    assert one.is_pending
    assert "denoise-uformer/hybrid-" in one.evidence


def test_a_notebook_without_a_rule_is_refused(tmp_path: Path) -> None:
    name = "99_new.manifest.json"
    with pytest.raises(ValueError, match=f"no rule says what {name} rests on; expected one of 01"):
        results(tmp_path, {name: {}}).read("denoise", name, "headline/x")


def test_the_committed_results_belong_together() -> None:
    of_notebooks = {
        claim.given.file or f"{claim.page}{belonging.NOTEBOOK}"
        for claim in listed(claims.CLAIMS)
        if claim.check in RESULT_CHECKS
    }
    where, folder = Sources("mini", ROOT), ROOT / "results" / "mini" / "denoise"
    checked = [file for file in belonging.RESTS_ON if (folder / file).exists()]
    assert {file for file in checked if file in of_notebooks} >= {
        belonging.DISTILLATION,
        belonging.FINE_TUNING,
    }
    for file in checked:
        assert where.content("denoise", file)


def test_the_committed_teacher_was_trained_on_the_images_of_this_code() -> None:
    # The ledger compares results with one another only: what the images are made from needs torch.
    from ensrepro.steps.context import open_context

    ctx = replace(open_context("mini", "denoise"), may_compute=False)
    found = Sources("mini", ROOT).content("denoise", belonging.TEACHER_FILE)["identity"]
    for key, value in artifacts.plain(ctx.identity()).items():
        assert found[key] == value, key
