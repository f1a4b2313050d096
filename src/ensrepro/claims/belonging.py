"""Do results belong together? The ledger reads only those that were made from one another.

A step's result carries hashes of what it was made from, and is held against what is on file beside
it. A notebook's manifest carries none: it has to be younger than the results that it rests on, and
to tell what they hold (`notebooks`). What the images are made from is compared between results, not
with the code, which needs torch: the steps themselves refuse that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ensrepro.config import DEFAULT_PAIR, PAIRS, UFORMER_PAIR, Pair
from ensrepro.pages import NOTEBOOK
from ensrepro.space import RESTORMER

TEACHER_FILE, POOL, BENCH, STUDY = "teacher.json", "pool.json", "ens-bench.json", "study.json"
HALVES = "halves.json"
PROFILING, FIELDS, DISTILLATION, SEARCH, KNEE, FINE_TUNING, ABLATIONS, UFORMER, LANDSCAPE = (
    f"{name}{NOTEBOOK}"
    for name in (
        *("01_profiling", "02_erf", "03_distillation", "04_search", "05_knee", "06_finetune"),
        *("08_ablations", "10_uformer", "11_landscape"),
    )
)
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
    "halves": lambda load: load(HALVES)["result"]["digest"],
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

# Notebook -> the results that it rests on; it was run after they were made.
RESTS_ON: Mapping[str, tuple[str, ...]] = {
    PROFILING: (),  # it times blocks with random weights
    FIELDS: (TEACHER_FILE, POOL, job(RESTORMER.index(RESTORMER.all_ssm), 0)),
    DISTILLATION: (TEACHER_FILE, POOL),
    SEARCH: (TEACHER_FILE, POOL),
    KNEE: (TEACHER_FILE, POOL),
    FINE_TUNING: (TEACHER_FILE, POOL),
    ABLATIONS: (TEACHER_FILE, POOL),
    UFORMER: (TEACHER_FILE, POOL),  # those of its pair
    LANDSCAPE: (TEACHER_FILE, POOL, BENCH),
}
