"""Do results belong together? The ledger reads only those that were made from one another.

A step's result carries hashes of what it was made from, and is held against what is on file beside
it. A notebook's manifest carries none: it has to be younger than the results that it rests on, and
to tell what they hold. What the images are made from is compared between results, not with the
code, which needs torch: the steps themselves refuse that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from math import isclose
from statistics import mean, median
from typing import Any

from ensrepro.config import DEFAULT_PAIR, PAIRS, PROFILES, UFORMER_PAIR, Pair
from ensrepro.pages import NOTEBOOK
from ensrepro.space import RESTORMER, TEACHER

TEACHER_FILE, POOL, BENCH, STUDY = "teacher.json", "pool.json", "ens-bench.json", "study.json"
PROFILING, FIELDS, DISTILLATION, SEARCH, KNEE, FINE_TUNING, ABLATIONS, UFORMER, LANDSCAPE = (
    f"{name}{NOTEBOOK}"
    for name in (
        *("01_profiling", "02_erf", "03_distillation", "04_search", "05_knee", "06_finetune"),
        *("08_ablations", "10_uformer", "11_landscape"),
    )
)
AGAIN = "run that notebook again"
PAIR_OF = {UFORMER: UFORMER_PAIR}  # whose folder a notebook's manifest is in

Content = Mapping[str, Any]
Load = Callable[[str], Content]  # another file of the same profile and task, which belongs too


class NotMeasuredError(LookupError):
    """A result that this repository does not hold, or no longer; the message says which and why."""


def pair_of(file: str) -> Pair:
    """The pair whose results a file is among."""
    return PAIRS[PAIR_OF.get(file, DEFAULT_PAIR)]


def label_of(number: int) -> str:
    """The label of an architecture of that number, as notebooks show it."""
    return RESTORMER.label(RESTORMER.architecture(number))


def numbered(label: str) -> tuple[int, ...]:
    """The architecture of a label such as `T T 4 4 2 T T T`."""
    return RESTORMER.labeled(label)


def job(number: int, seed: int) -> str:
    """The file of a fine-tuned hybrid."""
    return f"hybrid-{number:05d}-s{seed}.json"


# ---- results of steps -------------------------------------------------------------------------

SHARED = ("profile", "task", "pair", "shape", "protocol", "images")  # alike in all results


def digests(load: Load) -> str:
    """The networks of a pool and its teacher, as the table of all architectures names them."""
    return f"{load(TEACHER_FILE)['result']['digest']}-{load(POOL)['result']['digest']}"


MADE_FROM: Mapping[str, Callable[[Load], str]] = {
    "teacher": lambda load: load(TEACHER_FILE)["result"]["digest"],
    "pool": lambda load: load(POOL)["result"]["digest"],
    "networks": digests,
    "table": lambda load: load(BENCH)["result"]["sha256"],
}


def check_step(place: tuple[str, str], file: str, content: Content, load: Load) -> None:
    """A NotMeasuredError if a step's result was made from other things than are beside it.

    `place` is the profile and the task that are asked for.
    """
    identity = content["identity"]
    asked = dict(zip(("profile", "task"), place, strict=True))
    if file != TEACHER_FILE:
        asked |= {key: load(TEACHER_FILE)["identity"][key] for key in SHARED}
        # an empty one says that nothing of it is in the result, as no surrogate is in the teacher
        asked |= {key: made(load) for key, made in MADE_FROM.items() if identity.get(key)}
    if content["step"] != file.removesuffix(".json"):
        raise NotMeasuredError(f"{file} is of the step {content['step']!r}")
    for key, expected in asked.items():
        if identity.get(key) != expected:
            raise NotMeasuredError(f"{file} was made with another {key} than is beside it")


# ---- manifests of notebooks -------------------------------------------------------------------


def same(told: float, held: float) -> bool:
    """Whether a notebook tells what a result holds, but for the order of summation."""
    return isclose(told, held, rel_tol=1e-9, abs_tol=1e-12)


def mean_psnr(load: Load, file: str) -> float:
    """Mean PSNR of a network on the test photos, dB."""
    return mean(row["psnr"] for row in load(file)["result"]["test"])


def tells_stages(content: Content, load: Load) -> str:
    """The hybrid that notebook 2 looks into keeps the stages that the knee keeps."""
    knee = RESTORMER.architecture(load(KNEE)["headline"]["candidates"][0])
    kept = {s.name for s, choice in zip(RESTORMER.stages, knee, strict=True) if choice == TEACHER}
    shown = set(content["headline"]["spread"]["hybrid"])
    return "" if shown == kept else f"shows a hybrid other than the knee of {KNEE}"


def tells_drops(content: Content, load: Load) -> str:
    """Notebook 3 tells what a stage and a surrogate cost, from teacher and pool."""
    rows = load(POOL)["result"]["rows"]
    swaps = {f"{row['stage']} {row['depth']}": row["psnr_drop"] for row in rows}
    identity = load(TEACHER_FILE)["result"]["identity_drops"]
    told = content["headline"]
    agrees = told["swap_drops"] == swaps and told["identity_drops"] == identity
    return "" if agrees else f"tells other drops than {POOL} and {TEACHER_FILE} hold"


def search_of(content: Content, load: Load) -> tuple[str, Content]:
    """The run of search that a notebook's parameters name: on the table, else measured."""
    asked = content["parameters"]
    n = asked["n_trials"] or PROFILES[asked["profile"]].n_trials
    stem = f"search-{asked['sampler']}-{n}-{asked['penalty_table']}-s{asked['seed']}"
    try:
        return f"{stem}-table.json", load(f"{stem}-table.json")
    except NotMeasuredError:
        return f"{stem}.json", load(f"{stem}.json")


def tells_search(content: Content, load: Load) -> str:
    """Notebook 4 tells the hypervolume of the run that is on file."""
    file, made = search_of(content, load)
    told = content["headline"]["hypervolume"][made["result"]["sampler"]]
    agrees = same(told, made["result"]["hypervolume"][-1])
    return "" if agrees else f"tells another hypervolume than {file} holds"


def tells_candidates(content: Content, load: Load) -> str:
    """The candidates of notebook 5 are on the front of its search, and the knee drops as there."""
    file, made = search_of(content, load)
    found, told = made["result"], content["headline"]
    rows = {found["architectures"][row]: row for row in found["front"]}
    others = [number for number in told["candidates"] if number not in rows]
    if others:
        return f"has the candidate {others[0]}, which is not on the front of {file}"
    drop = found["psnr"][0] - found["psnr"][rows[told["candidates"][0]]]
    return "" if same(told["psnr_drop"], drop) else f"tells another drop than {file} holds"


def tells_finetuned(content: Content, load: Load) -> str:
    """Notebook 6 has chosen a candidate of notebook 5 and tells what the networks score."""
    chosen, told = content["headline"]["chosen"], content["headline"]["test"]
    number = RESTORMER.index(numbered(chosen))
    if number not in load(KNEE)["headline"]["candidates"]:
        return f"has chosen {chosen}, which is not among the candidates of {KNEE}"
    files = {
        "hybrid": [job(number, seed) for seed in range(len(told["hybrid"]))],
        "all_ssm": [job(RESTORMER.index(RESTORMER.all_ssm), 0)],
        "longer": [
            job(RESTORMER.index(RESTORMER.teacher), seed) for seed in range(len(told["longer"]))
        ],
        "teacher": [TEACHER_FILE],
    }
    for kind, names in files.items():
        for value, name in zip(told[kind], names, strict=True):
            if not same(value, mean_psnr(load, name)):
                return f"tells another PSNR of {kind} than {name} holds"
    return ""


def tells_error(content: Content, load: Load) -> str:
    """Notebook 11 tells how far sums of stages are from whole networks in the table."""
    networks = load(BENCH)["result"]["networks"]
    error = median(abs(row["sum_ms"] / row["latency_ms"] - 1) for row in networks)
    agrees = same(content["headline"]["latency_sum_error"], error)
    return "" if agrees else f"tells another error of latencies than {BENCH} holds"


# Notebook -> the results that it rests on; it was run after they were made.
RESTS_ON: Mapping[str, tuple[str, ...]] = {
    PROFILING: (),  # it times blocks with random weights
    FIELDS: (TEACHER_FILE, POOL, job(RESTORMER.index(RESTORMER.all_ssm), 0)),
    DISTILLATION: (TEACHER_FILE, POOL),
    SEARCH: (TEACHER_FILE, POOL),
    KNEE: (TEACHER_FILE, POOL),
    FINE_TUNING: (TEACHER_FILE, POOL),
    ABLATIONS: (TEACHER_FILE, POOL),
    UFORMER: (),  # its networks are another pair's
    LANDSCAPE: (TEACHER_FILE, POOL, BENCH),
}
TELLS: Mapping[str, Callable[[Content, Load], str]] = {
    FIELDS: tells_stages,
    DISTILLATION: tells_drops,
    SEARCH: tells_search,
    KNEE: tells_candidates,
    FINE_TUNING: tells_finetuned,
    LANDSCAPE: tells_error,
}


def check_notebook(place: tuple[str, str], file: str, content: Content, load: Load) -> None:
    """A NotMeasuredError if a notebook's manifest is not of the results that are beside it.

    A ValueError for a notebook of which no rule says what it rests on.
    """
    if file not in RESTS_ON:
        known = ", ".join(RESTS_ON)
        raise ValueError(f"no rule says what {file} rests on; expected one of {known}")
    asked = dict(zip(("profile", "task"), place, strict=True)) | {"pair": pair_of(file).name}
    told = {"pair": DEFAULT_PAIR} | content["parameters"]  # of the first pair not all tell it
    for name, expected in asked.items():
        if told.get(name) != expected:
            raise NotMeasuredError(f"{file} is of another {name}; {AGAIN}")
    finished = datetime.fromisoformat(content["finished"])
    for other in RESTS_ON[file]:
        if finished < datetime.fromisoformat(load(other)["provenance"]["created"]):
            raise NotMeasuredError(f"{file} is older than {other}, which it rests on; {AGAIN}")
    fault = TELLS[file](content, load) if file in TELLS else ""
    if fault:
        raise NotMeasuredError(f"{file} {fault}; {AGAIN}")
