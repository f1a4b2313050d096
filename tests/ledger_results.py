"""A checkout with results that belong together, as the ledger of claims and the tables read them.

Values are made up. A test changes one field of one file, and nothing else, to see what notices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ensrepro import artifacts
from ensrepro.claims import Sources, belonging
from ensrepro.claims.belonging import job, numbered
from ensrepro.config import DEFAULT_PAIR, PAIRS
from ensrepro.space import RESTORMER, penalty, sampled
from ensrepro.space import UFORMER as UFORMER_SPACE

PLACE = {"profile": "mini", "task": "denoise"}
IDENTITY = PLACE | {"pair": "one-two", "shape": {"width": 8}, "protocol": "sidd", "images": {}}
COMMIT = "abc1234"
CREATED, FINISHED = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
ASKED = PLACE | {"seed": 0, "sampler": "exact-ehvi", "n_trials": 0, "penalty_table": "blocks"}
SEARCHED = "search-exact-ehvi-500-blocks-s0-table.json"
BASE: dict[str, dict[str, Any]] = {
    "teacher.json": {"result/digest": "t", "result/test": [{"psnr": 22.5}]},
    "pool.json": {"identity/teacher": "t", "result/digest": "p"},
    "ens-bench.json": {"identity/networks": "t-p", "result/sha256": "b"},
}
MADE_FROM = {"identity/teacher": "t", "identity/pool": "p"}
ANY = belonging.PROFILING  # a notebook's manifest about which nothing but its age is asked


def put(content: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """Set {"a/b": 1} as content["a"]["b"] = 1."""
    for field, value in fields.items():
        *path, last = field.split("/")
        here = content
        for key in path:
            here = here.setdefault(key, {})
        here[last] = value


def manifest(name: str) -> dict[str, Any]:
    """What any manifest of that name holds."""
    if name.endswith(belonging.NOTEBOOK):
        made = {"provenance": {"commit": COMMIT}, "headline": {}, "finished": FINISHED}
        return {"notebook": name.split(".")[0], "parameters": dict(ASKED)} | made
    content = {"step": name.removesuffix(".json"), "identity": dict(IDENTITY), "result": {}}
    content["provenance"] = {"created": CREATED}
    if name.startswith(("hybrid", "search", "ablation")):
        put(content, MADE_FROM)
    return content | ({"identity": IDENTITY | {"table": "b"}} if name == "study.json" else {})


def results(
    root: Path, files: Mapping[str, Mapping[str, Any]], pair: str = DEFAULT_PAIR
) -> Sources:
    """Manifests of task `denoise` below `root` with the given fields, and what they rest on."""
    folder = root / artifacts.RESULTS / "mini" / f"denoise{PAIRS[pair].suffix}"
    folder.mkdir(parents=True)
    for name in {**BASE, **files}:
        content = manifest(name)
        put(content, BASE.get(name, {}))
        put(content, {"parameters/pair": pair} if name.endswith(belonging.NOTEBOOK) else {})
        put(content, files.get(name, {}))
        (folder / name).write_text(json.dumps(content))
    return Sources("mini", root)


def searched(*candidates: int, psnr: float = 21.0) -> dict[str, dict[str, Any]]:
    """A search that found these, each at `psnr` where the teacher has 22 dB, and its knee."""
    found = {"result/sampler": "exact-ehvi", "result/architectures": [0, *candidates]}
    found |= {"result/psnr": [22.0, *(psnr for _ in candidates)], "result/hypervolume": [7.0]}
    found |= {"result/front": [*range(1, 1 + len(candidates))]}
    knee = {"headline/candidates": [*candidates], "headline/psnr_drop": 22.0 - psnr}
    return {SEARCHED: found, belonging.KNEE: knee}


def finetuned(label: str) -> dict[str, dict[str, Any]]:
    """A chosen hybrid with two seeds, 22.4 and 22.6 dB, the teacher as long, and all-SSM."""
    number, told = RESTORMER.index(numbered(label)), {"hybrid": [22.4, 22.6]}
    scores = {job(number, seed): psnr for seed, psnr in enumerate(told["hybrid"])}
    for kind, one, psnr in (
        ("longer", RESTORMER.teacher, 22.3),
        ("all_ssm", RESTORMER.all_ssm, 21.0),
    ):
        scores[job(RESTORMER.index(one), 0)], told[kind] = psnr, [psnr]
    scores[job(number, 0)] = 22.4  # the chosen one may be the teacher itself
    told |= {"teacher": [22.5], "longer": [scores[job(0, 0)]]}
    files = {name: {"result/test": [{"psnr": psnr}]} for name, psnr in scores.items()}
    notebook = {"headline/chosen": label, "headline/test": told}
    return {**searched(number), **files, belonging.FINE_TUNING: notebook}


def rows(psnr: float) -> dict[str, Any]:
    """The test rows of a network of that PSNR, at an SSIM of a hundredth of it."""
    return {"result/test": [{"psnr": psnr, "ssim": psnr / 100}]}


def ablated(label: str = "T T 4 2 6 T T T", **psnr: list[float]) -> dict[str, dict[str, Any]]:
    """Notebook 8 with its files: the hybrid of `finetuned`, arms and draws of 22 dB but `psnr`."""
    number, files = RESTORMER.index(numbered(label)), finetuned(label)
    told = {key: [22.0, 22.0] for key in ("reinitialized", "random_weights", "equal_blocks")}
    told |= {"distilled": [22.4, 22.6], "random_hybrids": [22.0] * 20} | psnr
    draws = sampled(RESTORMER, len(told["random_hybrids"]), 0)
    names = {"distilled": [job(number, 0), job(number, 1)]}
    names |= {"random_hybrids": [job(draw, 0) for draw in draws]}
    for arm, kind in (("reinitialized", f"fresh-{number:05d}"), ("equal_blocks", "equal")):
        names[arm] = [f"ablation-{kind}-s{seed}.json" for seed in range(2)]
    names["random_weights"] = [f"ablation-random-{number:05d}-s{seed}.json" for seed in range(2)]
    for arm, values in told.items():
        files |= {name: rows(value) for name, value in zip(names[arm], values, strict=True)}
    ssim = {arm: [value / 100 for value in values] for arm, values in told.items()}
    costs = [penalty(RESTORMER.architecture(one)) for one in (number, *draws)]
    files[belonging.ABLATIONS] = {
        "headline/chosen": label,
        "headline/psnr": told,
        "headline/ssim": ssim,
        "headline/penalty": {"chosen": costs[0], "random_hybrids": costs[1:]},
    }
    return files


def uformer(label: str = "T 2 6 T 2 T T 2 1", **latency: Any) -> dict[str, dict[str, Any]]:
    """Notebook 10 with its files: teachers of 21.0 and 21.1 dB, a hybrid between them."""
    number, teacher = (
        UFORMER_SPACE.index(one) for one in (UFORMER_SPACE.labeled(label), UFORMER_SPACE.teacher)
    )
    psnr: dict[str, Any] = {"teacher": 21.0, "hybrid": [20.9, 21.2], "longer": [21.1, 21.1]}
    files = {"teacher.json": rows(21.0), "pool.json": {}}
    for seed in range(2):
        files[job(number, seed)] = rows(psnr["hybrid"][seed])
        files[job(teacher, seed)] = rows(psnr["longer"][seed])
    ssim = {"teacher": 0.21, "hybrid": [0.209, 0.212], "longer": [0.211, 0.211]}
    times = {"ratio": 0.75, "low": 0.7, "high": 0.8, "rounds": 12} | latency
    told = {"chosen": label, "psnr": psnr, "ssim": ssim, "latency": times}
    files[belonging.UFORMER] = {f"headline/{key}": value for key, value in told.items()}
    return files
