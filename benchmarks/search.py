"""How fast all architectures are measured, and how long a sampler thinks, in one run.

    python benchmarks/search.py [--task denoise]

Set OMP_NUM_THREADS=1: all is meant for one thread. Rates are of the committed networks of profile
`mini` on a validation crop. *Separately*: each architecture as `evaluate.measure` does it alone.
*As a tree*: one piece of the exhaustive measurement, with its shared stages and its own scoring.
Both as they are and with freed memory kept by the process. The architectures are random ones; the
ratios are what counts.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ensrepro import bench, evaluate, exhaustive, pipeline, search
from ensrepro.ledger import Metrics
from ensrepro.samplers.surface import Surface
from ensrepro.space import RESTORMER, Architecture

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


def thinking(sampler: str) -> tuple[float, float]:
    """CPU milliseconds a proposal of a sampler on the table: of its model's fits, of the rest."""
    table = bench.load("denoise")[["psnr", "ssim"]].to_numpy()
    fitting, fit = [0.0], Surface.fit

    def timed(surface: Surface, *arguments: object) -> None:
        started = time.process_time()
        fit(surface, *arguments)
        fitting[0] += time.process_time() - started

    def answers(architectures: list[Architecture]) -> list[Metrics]:
        return [Metrics(*table[RESTORMER.index(a)]) for a in architectures]

    search.run(answers, sampler=sampler, n_trials=24)  # imports
    Surface.fit = timed
    started = time.process_time()
    search.run(answers, sampler=sampler, n_trials=PROPOSALS)
    Surface.fit = fit
    whole = time.process_time() - started
    return fitting[0] / PROPOSALS * 1e3, (whole - fitting[0]) / PROPOSALS * 1e3


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
    alone_kept, tree_kept = separately(work, 0), as_tree(work)
    print("measuring architectures (ms an architecture and image; times as fast)")
    print(f"  separately                        {alone * 1e3:8.1f}   1.0")
    print(f"  separately, freed memory kept     {alone_kept * 1e3:8.1f}   {alone / alone_kept:.1f}")
    print(f"  as a tree                         {tree * 1e3:8.1f}   {alone / tree:.1f}")
    print(f"  as a tree, freed memory kept      {tree_kept * 1e3:8.1f}   {alone / tree_kept:.1f}")
    print(f"proposing, {PROPOSALS} proposals (CPU ms a proposal: fits of the model, all else)")
    for sampler in ("random", "nsga2", "exact-ehvi"):
        print(f"  {sampler:<32} {thinking(sampler)[0]:8.1f} {thinking(sampler)[1]:8.1f}")


if __name__ == "__main__":
    main()
