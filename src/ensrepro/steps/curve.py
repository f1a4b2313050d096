"""Architectures along the front of a search, not only near its knee: ends of the trade-off.

The paper fine-tunes what lies around the knee. How much PSNR the cheaper end of a front wins back,
and so how fast a network can be at a given loss, is seen only when that end is fine-tuned too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ensrepro.pareto import PENALTY
from ensrepro.space import Architecture
from ensrepro.steps.context import Context
from ensrepro.steps.finetune import Finetuned
from ensrepro.steps.search import SearchSummary

N_ALONG = 4  # architectures, the cheapest of the front among them


def spread(costs: ArrayLike, highest: float, n: int) -> list[int]:
    """Positions of `n` costs, as evenly spaced as they are from the lowest one to `highest`.

    `highest` itself is not taken; each position once, fewer if there are fewer. The lowest comes
    first.
    """
    values = np.asarray(costs, dtype=np.float64)
    left = {int(i) for i in np.flatnonzero(values < highest)}
    taken: list[int] = []
    if not left:
        return taken
    for aim in np.linspace(values.min(), highest, n + 1)[:-1]:
        if left:
            nearest = min(sorted(left), key=lambda i: abs(float(values[i]) - aim))
            taken.append(nearest)
            left.remove(nearest)
    return taken


def along(ctx: Context, run: SearchSummary, n: int = N_ALONG) -> tuple[Architecture, ...]:
    """Architectures spread over the front between its cheapest end and the teacher.

    What is cheap is the search's second objective, a penalty or milliseconds.
    """
    costs = run.points[run.front, PENALTY]
    teacher = float(run.points[0, PENALTY])
    found = [run.front[i] for i in spread(costs, teacher, n)]
    return tuple(ctx.space.architecture(run.architectures[row]) for row in found)


def near(
    tuned: Sequence[Finetuned], costs: Sequence[float], reference: Finetuned, most_db: float
) -> list[Finetuned]:
    """Networks whose validation PSNR is at most `most_db` below a reference, the cheapest first.

    Of equal costs the better one comes first. Test photos are not looked at.
    """
    least = reference.result.after - most_db
    rows = [
        (cost, -one.result.after, i)
        for i, (one, cost) in enumerate(zip(tuned, costs, strict=True))
        if one.result.after >= least
    ]
    return [tuned[i] for _, _, i in sorted(rows)]
