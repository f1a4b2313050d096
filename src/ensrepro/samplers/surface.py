"""A Gaussian process on the PSNR drop over all candidates of a space at once.

BoTorch fits the hyperparameters (SingleTaskGP: RBF kernel with a length scale for each of the
one-hot columns, constant mean, inferred noise, drops standardized). Between fits the posterior of
all N candidates is updated by one row for each observation: with K = L L^T over the observed,
V = L^-1 K(observed, all) gives

    mean = m + V^T beta,   variance = 1 - sum of V^2 over rows,   beta = L^-1 (y - m).

An observation that is only *believed* (y = its own mean) has beta = 0: it shrinks the variance and
moves no mean, and its value can be filled in later.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ensrepro.space import Space

Array = NDArray[np.float64]

MIN_VARIANCE = 1e-10  # of standardized drops
GROWTH = 64  # rows of V that are made room for at once


class Surface:
    """Mean and standard deviation of the drop (dB) at every candidate, (N,) each."""

    def __init__(self, space: Space) -> None:
        self._choices = np.array(list(space), dtype=np.intp)  # (N, stages)
        self._starts = np.concatenate([[0], np.cumsum(space.n_choices)])
        n_candidates = len(self._choices)
        self._offset, self._scale = 0.0, 1.0  # of the standardization
        self._constant, self._noise = 0.0, 1e-4
        self._halves: list[Array] = []  # 1 / (2 length scale^2) of each choice, by stage
        self._rows = np.empty((0, n_candidates))  # V, with spare rows
        self._beta: list[float] = []
        self._pivots: list[float] = []
        self._observed: list[int] = []
        self._mean = np.zeros(n_candidates)
        self._variance = np.ones(n_candidates)

    @property
    def mean(self) -> Array:
        return self._offset + self._scale * self._mean

    @property
    def std(self) -> Array:
        return self._scale * np.sqrt(self._variance)

    def fit(self, observed: Sequence[int], drops: Array) -> None:
        """Fit the hyperparameters to the observations and start again from them."""
        self._offset = float(np.mean(drops))
        self._scale = float(np.std(drops, ddof=1)) or 1.0
        self._fit_hyperparameters(observed, (drops - self._offset) / self._scale)
        self._rows = np.empty((len(observed) + GROWTH, len(self._choices)))
        self._beta, self._pivots, self._observed = [], [], []
        self._mean = np.full(len(self._choices), self._constant)
        self._variance = np.ones(len(self._choices))
        for number in observed:
            self.believe(number)
        self.fill_in(drops)

    def believe(self, number: int) -> None:
        """Observe a candidate whose value is not known yet."""
        n = len(self._observed)
        if n == len(self._rows):
            self._rows = np.vstack([self._rows, np.empty((GROWTH, len(self._choices)))])
        column = self._rows[:n, number].copy()
        pivot = float(np.sqrt(max(1 + self._noise - column @ column, MIN_VARIANCE)))
        row = (self._kernel(number) - column @ self._rows[:n]) / pivot
        self._rows[n] = row
        self._variance = np.maximum(self._variance - row * row, MIN_VARIANCE)
        self._pivots.append(pivot)
        self._observed.append(number)

    def fill_in(self, drops: Array) -> None:
        """Give the observations without a value theirs, in their order."""
        values = (np.asarray(drops) - self._offset) / self._scale
        for value in values:
            i = len(self._beta)
            known = np.array(self._beta)
            rest = value - self._constant - known @ self._rows[:i, self._observed[i]]
            self._beta.append(float(rest / self._pivots[i]))
            self._mean = self._mean + self._beta[-1] * self._rows[i]

    def _kernel(self, number: int) -> Array:
        """Covariance of one candidate with all, (N,): a product over the stages that differ."""
        distance = np.zeros(len(self._choices))
        for stage, own in enumerate(self._choices[number]):
            cost = self._halves[stage] + self._halves[stage][own]
            cost[own] = 0.0
            distance += cost[self._choices[:, stage]]
        return np.exp(-distance)

    def _fit_hyperparameters(self, observed: Sequence[int], standardized: Array) -> None:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what BoTorch imports
            from botorch.exceptions.errors import ModelFittingError
            from botorch.fit import fit_gpytorch_mll
            from botorch.models import SingleTaskGP
            from gpytorch.mlls import ExactMarginalLogLikelihood

        hot = np.zeros((len(observed), self._starts[-1]))
        columns = self._choices[list(observed)] + self._starts[:-1]
        np.put_along_axis(hot, columns, 1.0, axis=1)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # a small problem; and the sums then depend on nothing else
        try:
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # notes on retried optimizations
                torch.manual_seed(len(observed))  # a retry starts from random hyperparameters
                y = torch.from_numpy(standardized).unsqueeze(-1)
                model = SingleTaskGP(torch.from_numpy(hot), y, outcome_transform=None)
                fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        except ModelFittingError:
            if self._halves:  # the ones before serve as well
                return
            raise ValueError(
                f"no Gaussian process fits the {len(observed)} drops measured so far; "
                "expected drops that differ"
            ) from None
        finally:
            torch.set_num_threads(threads)
        halves = 0.5 / model.covar_module.lengthscale.detach().numpy().ravel() ** 2
        self._halves = np.split(halves, self._starts[1:-1])
        self._constant = float(model.mean_module.constant.detach())
        self._noise = float(model.likelihood.noise.detach().squeeze())
