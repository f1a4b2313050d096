"""A made-up ENS-Bench table of the right shape, for tests and for work on what reads the table.

Each stage has a sensitivity, each choice an error that grows with the blocks it saves, neighbors
interact; the PSNR drop is the logarithm of the error's sum. No number of it means anything.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ensrepro.space import RESTORMER, penalty


def table(seed: int = 0) -> pd.DataFrame:
    """34,560 rows with the columns of `bench.load`, the teacher first."""
    rng = np.random.default_rng(seed)
    stages = RESTORMER.stages
    choices = np.array(list(RESTORMER))  # (n, 8)
    weight = rng.lognormal(-3, 0.7, len(stages))
    error = np.zeros(len(choices))
    for i, stage in enumerate(stages):
        saved = 1 - np.array([0, *stage.depths]) / stage.n_blocks
        own = weight[i] * (0.35 + 2.2 * saved**1.4) * np.exp(0.15 * rng.normal(size=len(saved)))
        own[0] = 0
        error += own[choices[:, i]]
        if i:
            pair = 0.25 * np.sqrt(weight[i] * weight[i - 1])
            both = pair * rng.normal(size=(stages[i - 1].n_choices, stage.n_choices))
            both[0], both[:, 0] = 0, 0
            error += both[choices[:, i - 1], choices[:, i]]
    drop = 10 * np.log10(1 + 1.6 * np.maximum(error, 0)) + 0.004 * rng.normal(size=len(choices))
    drop[0] = 0
    latency = np.zeros(len(choices))
    for i, stage in enumerate(stages):
        share = np.array([stage.n_blocks, *stage.depths]) / stage.n_blocks
        latency += rng.uniform(20, 200) * share[choices[:, i]]
    frame = pd.DataFrame({s.name: choices[:, i].astype(np.uint8) for i, s in enumerate(stages)})
    return frame.assign(
        psnr=22.0 - drop,
        ssim=0.7 - 0.02 * drop,
        penalty=[penalty(a) for a in choices.tolist()],
        params=(1e6 + 1e4 * latency).astype(np.int64),
        macs=(1e9 + 1e7 * latency).astype(np.int64),
        latency_ms=50.0 + latency,
    )
