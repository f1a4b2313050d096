"""What the ablations and the pair with Uformer come to: sentences of computed numbers.

Notebook 08 tells an `Ablation` (section 4.5, table 5), notebook 10 what its hybrid is worth beside
two teachers (table 6). A difference has its sign, so that a sentence is true whichever network is
ahead. Arms are held against each other seed by seed; a draw, which has one seed, against the mean
of the chosen hybrid, which is the distilled arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import mean
from typing import Any, NamedTuple

from ensrepro import landscape
from ensrepro.claims.records import Cells
from ensrepro.claims.sources import selected, value
from ensrepro.devices.stage_sums import SumError
from ensrepro.results import scaled
from ensrepro.seeds import Against, against
from ensrepro.space import Architecture, penalty
from ensrepro.steps import ablation
from ensrepro.steps.ablation import AblationResult
from ensrepro.steps.finetune import FinetuneResult

# Keys of the headline of notebook 08.
DISTILLED, UNDISTILLED, RANDOM = "distilled", "reinitialized", "random_weights"
EQUAL, DRAWS = "equal_blocks", "random_hybrids"
NAMES = {
    DISTILLED: "distilled",
    UNDISTILLED: "undistilled",
    RANDOM: "random weights",
    EQUAL: "equal blocks",
    DRAWS: "random hybrids",
}
KEYS = {ablation.FRESH: UNDISTILLED, ablation.RANDOM: RANDOM, ablation.EQUAL: EQUAL}
TABLE = 5
METRICS = ("psnr", "ssim")
SPLIT = "test photos"
Values = Mapping[str, Sequence[float]]  # by arm


@dataclass(frozen=True)
class Ablation:
    """What notebook 08 measures: lists by seed from 0, those of DRAWS by draw.

    `before` and `after` are PSNR on the validation crops (dB), `psnr` (dB) and `ssim` means over
    the test photos.
    """

    before: Values
    after: Values
    psnr: Values
    ssim: Values
    penalty: float  # of the chosen hybrid
    draw_penalties: Sequence[float]

    def headline(self, chosen: str) -> dict[str, Any]:
        """What the notebook's manifest tells; `chosen` is the label of the hybrid."""
        return {
            "chosen": chosen,
            "split": SPLIT,
            "psnr": dict(self.psnr),
            "ssim": dict(self.ssim),
            "penalty": {"chosen": self.penalty, DRAWS: list(self.draw_penalties)},
        }


def gathered(
    networks: Mapping[str, Sequence[FinetuneResult | AblationResult]],
    chosen: Architecture,
    drawn: Sequence[Architecture],
) -> Ablation:
    """The fine-tuned networks of every arm, those of a seed in order; `drawn` are the DRAWS."""
    tests = {
        metric: {arm: [scaled.average(r.test, metric) for r in of] for arm, of in networks.items()}
        for metric in METRICS
    }
    return Ablation(
        before={arm: [result.before for result in of] for arm, of in networks.items()},
        after={arm: [result.after for result in of] for arm, of in networks.items()},
        **tests,
        penalty=penalty(chosen),
        draw_penalties=[penalty(one) for one in drawn],
    )


def change(values: Values, arm: str, reference: str = DISTILLED) -> Against:
    """An arm against another: seed by seed, and draws against its mean."""
    ours, theirs = values[arm], values[reference]
    if arm == DRAWS:
        base = mean(theirs)
        return Against(NAMES[reference], [one - base for one in ours], len(theirs))
    return against(NAMES[reference], dict(enumerate(ours)), dict(enumerate(theirs)))


def lines(found: Ablation) -> list[dict[str, Any]]:
    """A line an arm: its test scores, and its change in PSNR against the distilled one."""
    made = []
    for arm, psnr in found.psnr.items():
        changes = None if arm == DISTILLED else change(found.psnr, arm).changes
        made.append(
            {
                "arm": NAMES[arm],
                "psnr": mean(psnr),
                "ssim": mean(found.ssim[arm]),
                "change": mean(changes) if changes else None,
                "low": min(changes) if changes else None,
                "high": max(changes) if changes else None,
                "n": len(psnr),
            }
        )
    return made


# ---- sentences ----------------------------------------------------------------------------------


def told(found: Against) -> str:
    """A mean change in dB with the range over seeds: `-0.03 dB (-0.06 to +0.01, 3 seeds)`."""
    changes = found.changes
    if len(changes) == 1:
        return f"{changes[0]:+z.2f} dB (one seed)"
    ends = f"{min(changes):+z.2f} to {max(changes):+z.2f}"
    return f"{mean(changes):+z.2f} dB ({ends}, {len(changes)} seeds)"


def distillation(found: Ablation) -> str:
    """Distilled surrogates against those that are not, before and after fine-tuning."""
    before = mean(found.before[DISTILLED]) - mean(found.before[UNDISTILLED])
    after, test = (change(v, DISTILLED, UNDISTILLED) for v in (found.after, found.psnr))
    return (
        f"On the validation crops distilled surrogates are at {before:+z.2f} dB against "
        f"undistilled ones before fine-tuning, and at {told(after)} after it. On the {SPLIT} they "
        f"are then at {told(test)}."
    )


def other_arms(found: Ablation) -> str:
    """What the other arms come to on the test photos, and what tells two of them apart."""
    random, equal = (told(change(found.psnr, arm)) for arm in (RANDOM, EQUAL))
    start = told(change(found.psnr, RANDOM, UNDISTILLED))
    return (
        f"On the {SPLIT}, against the distilled hybrid, random weights are at {random} and equal "
        f"blocks at {equal}. Against undistilled surrogates random weights are at {start}; two "
        "things differ between these arms: whether all but the surrogates is the teacher's, and "
        "whether a surrogate starts as the identity or at random."
    )


class Order(NamedTuple):
    """How many values are above a reference, exactly at it, and below."""

    above: int
    level: int
    below: int


def order(values: Sequence[float], reference: float) -> Order:
    """Values held against a reference."""
    above = sum(value > reference for value in values)
    below = sum(value < reference for value in values)
    return Order(above, len(values) - above - below, below)


def of_size(psnr: Sequence[float], reference: float, what: str) -> str:
    """How many of the draws of some size end above the chosen hybrid."""
    if not psnr:
        return f"No draw has {what}."
    return f"Of the {len(psnr)} with {what}, {order(psnr, reference).above} end above it."


def rank_of_size(found: Ablation) -> str:
    """Whether draws of a higher penalty end higher."""
    rank = landscape.correlation(found.draw_penalties, found.psnr[DRAWS])
    if isnan(rank):
        return "Penalty and PSNR have no rank correlation: one of the two is the same in all draws."
    return (
        f"Over the draws the rank correlation of penalty and PSNR is {rank:+z.2f} (above 0: "
        "a higher penalty tends to go with a higher PSNR; below 0: with a lower one)."
    )


def random_hybrids(found: Ablation) -> str:
    """How many draws end above the chosen hybrid, also among those that are not larger."""
    draws, reference = found.psnr[DRAWS], mean(found.psnr[DISTILLED])
    above, level, below = order(draws, reference)
    sizes = list(zip(draws, found.draw_penalties, strict=True))
    small = [psnr for psnr, price in sizes if price <= found.penalty]
    large = [psnr for psnr, price in sizes if price > found.penalty]
    return (
        f"Of {len(draws)} random hybrids {above} end above the chosen one on the {SPLIT}, {level} "
        f"level with it and {below} below; its PSNR is the mean over its seeds, a draw has one. "
        f"{of_size(small, reference, f'a penalty of at most its {found.penalty:g}')} "
        f"{of_size(large, reference, 'a higher penalty')} {rank_of_size(found)}"
    )


def printed_draw() -> dict[str, float]:
    """PSNR (dB) of the paper's random hybrid minus that of its proposed network, by data set."""
    proposed = scaled.ARMS[DISTILLED]
    drawn = selected(Cells(TABLE, (scaled.ARMS[DRAWS],), (), ("PSNR",)))
    return {one.dataset: float(value(one) - value(one._replace(method=proposed))) for one in drawn}


def papers_draw(found: Ablation) -> str:
    """Where the paper's one random hybrid would lie among the draws."""
    changes = change(found.psnr, DRAWS).changes
    n = len(changes)
    places = [
        f"{dataset} {printed:+z.2f} dB, {sum(one <= printed for one in changes)} of {n}"
        for dataset, printed in printed_draw().items()
    ]
    return (
        "The paper's random hybrid is one draw. Its printed PSNR minus that of the proposed "
        "network, and how many draws here are at that or lower against the chosen hybrid: "
        f"{'; '.join(places)}. The mean of the draws here is at {mean(changes):+z.2f} dB. Other "
        "networks and photos have other decibels, so this is a rough place."
    )


def findings(found: Ablation) -> str:
    """The findings of notebook 08 as a list in Markdown."""
    told_by = (distillation, other_arms, random_hybrids, papers_draw)
    return "\n".join(f"* {tell(found)}" for tell in told_by)


# ---- notebook 10 --------------------------------------------------------------------------------


class Beside(NamedTuple):
    """Test scores of a hybrid by seed beside those of its teacher, and of it trained as long.

    The mean over photos: PSNR (dB) or SSIM.
    """

    teacher: float
    hybrid: Sequence[float]
    longer: Sequence[float]


def beside(
    teacher: scaled.TestRows, hybrid: Sequence[FinetuneResult], longer: Sequence[FinetuneResult]
) -> dict[str, Beside]:
    """The scores by metric; networks of a seed in order."""
    return {
        metric: Beside(
            scaled.average(teacher, metric),
            [scaled.average(one.test, metric) for one in hybrid],
            [scaled.average(one.test, metric) for one in longer],
        )
        for metric in METRICS
    }


def beside_teachers(psnr: Beside) -> str:
    """A hybrid against the teacher with the same extra steps, and against it as it was."""
    hybrid, longer = (dict(enumerate(of)) for of in (psnr.hybrid, psnr.longer))
    fair = against("teacher, longer", hybrid, longer)
    before, extra = (against("teacher", of, {0: psnr.teacher}) for of in (hybrid, longer))
    return (
        f"On the {SPLIT} the hybrid is at {told(fair)} against the teacher with the same extra "
        f"steps, and at {told(before)} against the teacher as it was, which the extra steps alone take to "
        f"{told(extra)}."
    )


def sums(off: SumError | None) -> str:
    """How far a sum of stages is from a network timed whole."""
    if off is None:
        return "No hybrid was timed whole on the device of the stages."
    return (
        f"Sums of stages, as shares of the teacher's, are {off.low:+.1%} to {off.high:+.1%} off "
        f"(hybrids timed whole: {off.n}). A smaller difference says nothing."
    )
