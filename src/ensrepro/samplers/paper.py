"""paper-ehvi: the search as the paper words it (section 3.5 and implementation details).

A vector z in [0, 1]^8 is cut into choices by thresholds, Gaussian processes model *both* objectives
on z, expected hypervolume improvement is maximized over z. Number of starting points, kernels and
thresholds are not given: ours are 16 Sobol points, BoTorch's defaults and equal intervals
(assumption A29). Nothing keeps two vectors from meaning one architecture, so proposals repeat.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ensrepro.samplers.problem import Problem
from ensrepro.space import Architecture

if TYPE_CHECKING:
    from torch import Tensor

N_INITIAL = 16  # proposals before the first model: the anchors, then Sobol points
N_RESTARTS, N_RAW = 4, 128  # of the acquisition's optimizer


class PaperEhvi:
    """Proposals one by one; a batch is a sequence of single ones only while Sobol points last."""

    def __init__(self, problem: Problem) -> None:
        from torch.quasirandom import SobolEngine

        self._problem = problem
        self._n_choices = np.array(problem.space.n_choices)
        sobol = SobolEngine(len(self._n_choices), scramble=True, seed=problem.seed)
        centers = [
            (np.array(problem.space.architecture(number)) + 0.5) / self._n_choices
            for number in problem.anchors
        ]
        self._initial = [*centers, *sobol.draw(N_INITIAL - len(centers)).double().numpy()]
        self._z: list[NDArray[np.float64]] = []
        self._points: list[list[float]] = []
        self._open: list[NDArray[np.float64]] = []

    def ask(self, n: int) -> list[Architecture]:
        done = len(self._z)
        self._open = self._initial[done : done + n] or [self._maximizer()]
        return [self._architecture(z) for z in self._open]

    def tell(self, drops: NDArray[np.float64]) -> None:
        for z, drop in zip(self._open, drops, strict=True):
            number = self._problem.space.index(self._architecture(z))
            self._z.append(z)
            self._points.append([float(drop), *map(float, self._problem.known[number])])

    def _architecture(self, z: NDArray[np.float64]) -> Architecture:
        choices = np.minimum((z * self._n_choices).astype(int), self._n_choices - 1)
        return self._problem.space.check(choices.tolist())

    def _maximizer(self) -> NDArray[np.float64]:
        """The z of the highest EHVI; seeded by (seed, number of observations)."""
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what BoTorch imports
            from botorch.exceptions.warnings import BotorchWarning
            from botorch.optim import optimize_acqf

        bounds = torch.stack([torch.zeros(len(self._n_choices)), torch.ones(len(self._n_choices))])
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore", BotorchWarning)
                warnings.simplefilter("ignore", RuntimeWarning)
                torch.manual_seed(hash((self._problem.seed, len(self._z))) % 2**32)
                candidate, _ = optimize_acqf(
                    self._acquisition(), bounds.double(), 1, N_RESTARTS, N_RAW
                )
        finally:
            torch.set_num_threads(threads)
        return candidate[0].numpy()

    def _acquisition(self):  # noqa: ANN202  (BoTorch's class is imported inside)
        import torch
        from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
        from gpytorch.mlls import SumMarginalLogLikelihood

        points = np.array(self._points)
        reference = self._problem.reference(points)
        x, y = torch.from_numpy(np.array(self._z)), -torch.from_numpy(points)  # BoTorch maximizes
        model = ModelListGP(*(SingleTaskGP(x, y[:, i : i + 1]) for i in range(y.shape[1])))
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        worst: Tensor = -torch.tensor(reference, dtype=torch.float64)
        partitioning = FastNondominatedPartitioning(worst, Y=y)
        return ExpectedHypervolumeImprovement(model, worst.tolist(), partitioning)
