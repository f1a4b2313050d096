"""How fast all architectures are measured, and how long a sampler thinks, in one run.

    python benchmarks/search.py [--task denoise]

Rates are of the committed networks of profile `mini` on validation crops, one thread. *Separately*:
each architecture as `evaluate.measure` does it alone. *As a tree*: one piece of the exhaustive
measurement, with its shared stages and its own scoring, first as it is and then with freed memory
kept by the process. Random architectures; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ensrepro import bench, evaluate, exhaustive, pipeline, search
from ensrepro.ledger import Metrics
from ensrepro.space import RESTORMER

N_SEPARATE = 24
PROPOSALS = 120


def separately(work: exhaustive.Measured, seed: int) -> float:
    """Seconds an architecture and image, each on its own."""
    drawn = np.random.default_rng(seed).choice(RESTORMER.n_architectures, N_SEPARATE)
    started = time.perf_counter()
    for number in drawn:
        architecture = RESTORMER.architecture(int(number))
        evaluate.measure(
            work.teacher, work.surrogates, [architecture], work.pairs[:1], work.protocol
        )
    return (time.perf_counter() - started) / N_SEPARATE


def as_tree(work: exhaustive.Measured) -> float:
    """Seconds an architecture and image in one piece of the exhaustive measurement."""
    piece = exhaustive.Piece(0, 1, (1, 1, 1))
    started = time.perf_counter()
    scores = exhaustive.run_piece(work, piece)
    return (time.perf_counter() - started) / len(scores)


def thinking(sampler: str) -> float:
    """CPU milliseconds a proposal of a sampler on the table, its model's refits included."""
    table = bench.load("denoise")[["psnr", "ssim"]].to_numpy()
    started = time.process_time()
    search.run(
        lambda architectures: [Metrics(*table[RESTORMER.index(a)]) for a in architectures],
        sampler=sampler,
        n_trials=PROPOSALS,
    )
    return (time.process_time() - started) / PROPOSALS * 1e3


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="denoise")
    task = parser.parse_args().task
    torch.set_num_threads(1)
    run = pipeline.start("bench", task=task, profile="mini")
    work = exhaustive.Measured(
        run.teacher.net, run.pool.surrogates, run.ctx.validation, run.ctx.task.protocol
    )
    separately(work, 1)  # compiles
    alone, tree = separately(work, 0), as_tree(work)
    exhaustive.keep_memory()
    kept = as_tree(work)
    print("measuring architectures (ms an architecture and image)")
    print(f"  separately                       {alone * 1e3:8.1f}   1.0 x")
    print(f"  as a tree                        {tree * 1e3:8.1f}   {alone / tree:.1f} x")
    print(f"  as a tree, freed memory kept     {kept * 1e3:8.1f}   {alone / kept:.1f} x")
    print(f"proposing (CPU ms a proposal, {PROPOSALS} proposals, refits included)")
    for sampler in ("random", "nsga2", "exact-ehvi"):
        print(f"  {sampler:<32} {thinking(sampler):8.1f}")


if __name__ == "__main__":
    main()
