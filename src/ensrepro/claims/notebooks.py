"""Does a notebook's manifest tell what the results hold that it rests on?

It is of the profile, the task and the pair that are asked for, it is younger than those results,
and the numbers in its headline are theirs. Not held against anything are latencies that were
measured on a device, which no step's result is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isclose
from statistics import mean, median

from ensrepro.claims.belonging import (
    ABLATIONS,
    BENCH,
    DISTILLATION,
    FIELDS,
    FINE_TUNING,
    KNEE,
    LANDSCAPE,
    POOL,
    RESTS_ON,
    SEARCH,
    TEACHER_FILE,
    UFORMER,
    Content,
    Load,
    NotMeasuredError,
    job,
    numbered,
    pair_of,
)
from ensrepro.config import DEFAULT_PAIR, PROFILES
from ensrepro.space import RESTORMER, TEACHER, penalty, sampled
from ensrepro.space import UFORMER as UFORMER_SPACE

AGAIN = "run that notebook again"
# What notebook 8 calls an arm -> its files; the networks of "" are fine-tuned hybrids.
ARMS = {
    "distilled": "",
    "reinitialized": "fresh",
    "random_weights": "random",
    "equal_blocks": "equal",
}


def same(told: float, held: float) -> bool:
    """Whether a notebook tells what a result holds, but for the order of summation."""
    return isclose(told, held, rel_tol=1e-9, abs_tol=1e-12)


def differing(
    told: Mapping[str, Sequence[float]],
    files: Mapping[str, Sequence[str]],
    load: Load,
    metric: str = "psnr",
) -> str:
    """What a notebook tells of a kind of networks that the file of one does not hold, if anything.

    It tells the mean over the test photos. A kind of which it tells nothing is not looked for.
    """
    for kind in (kind for kind in files if kind in told):
        if len(told[kind]) != len(files[kind]):
            return f"tells {len(told[kind])} values of {kind}; expected {len(files[kind])}"
        for value, name in zip(told[kind], files[kind], strict=True):
            if not same(value, mean(row[metric] for row in load(name)["result"]["test"])):
                return f"tells another {metric.upper()} of {kind} than {name} holds"
    return ""


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
    return differing(told, files, load)


def ablated(kind: str, number: int, seed: int) -> str:
    """The file of a network of an arm of the ablation; one of equal blocks has no number."""
    if not kind:
        return job(number, seed)
    return f"ablation-{kind}{'' if kind == 'equal' else f'-{number:05d}'}-s{seed}.json"


def tells_ablations(content: Content, load: Load) -> str:
    """Notebook 8 takes the hybrid of notebook 6 and tells what the arms and the draws score."""
    told, chosen = content["headline"], load(FINE_TUNING)["headline"]["chosen"]
    if told["chosen"] != chosen:
        return f"is of the hybrid {told['chosen']}, but {FINE_TUNING} has chosen {chosen}"
    number = RESTORMER.index(numbered(chosen))
    n_draws = len(told["psnr"].get("random_hybrids", ()))
    draws = sampled(RESTORMER, n_draws, content["parameters"]["seed"])
    files = {"random_hybrids": [job(draw, 0) for draw in draws]}
    for arm, kind in ARMS.items():
        seeds = range(len(told["psnr"].get(arm, ())))
        files[arm] = [ablated(kind, number, seed) for seed in seeds]
    costs = [told["penalty"]["chosen"], *told["penalty"]["random_hybrids"]]
    held = [penalty(RESTORMER.architecture(one)) for one in (number, *draws)]
    if len(costs) != len(held) or not all(map(same, costs, held)):
        return "tells other penalties than its hybrids have"
    return differing(told["psnr"], files, load) or differing(told["ssim"], files, load, "ssim")


def tells_uformer(content: Content, load: Load) -> str:
    """Notebook 10 tells what the hybrid of table 6's pair and its teachers score."""
    told, space = content["headline"], UFORMER_SPACE
    chosen, teacher = map(space.index, (space.labeled(told["chosen"]), space.teacher))
    for metric in ("psnr", "ssim"):
        values = told[metric] | {"teacher": [told[metric]["teacher"]]}
        files = {
            "hybrid": [job(chosen, seed) for seed in range(len(values["hybrid"]))],
            "longer": [job(teacher, seed) for seed in range(len(values["longer"]))],
            "teacher": [TEACHER_FILE],
        }
        if fault := differing(values, files, load, metric):
            return fault
    return ""


def tells_error(content: Content, load: Load) -> str:
    """Notebook 11 tells how far sums of stages are from whole networks in the table."""
    networks = load(BENCH)["result"]["networks"]
    error = median(abs(row["sum_ms"] / row["latency_ms"] - 1) for row in networks)
    agrees = same(content["headline"]["latency_sum_error"], error)
    return "" if agrees else f"tells another error of latencies than {BENCH} holds"


TELLS: Mapping[str, Callable[[Content, Load], str]] = {
    FIELDS: tells_stages,
    DISTILLATION: tells_drops,
    SEARCH: tells_search,
    KNEE: tells_candidates,
    FINE_TUNING: tells_finetuned,
    ABLATIONS: tells_ablations,
    UFORMER: tells_uformer,
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
    try:
        fault = TELLS[file](content, load) if file in TELLS else ""
    except KeyError as missing:
        fault = f"tells nothing of {missing}"
    if fault:
        raise NotMeasuredError(f"{file} {fault}; {AGAIN}")
