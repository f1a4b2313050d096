"""The Gaussian process over all candidates at once against BoTorch's own posterior."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import small_space
from small_space import SMALL

from ensrepro.samplers import surface
from ensrepro.samplers.surface import Surface

pytestmark = pytest.mark.usefixtures("one_thread")

DROPS = small_space.Additive(SMALL).drops + 0.02 * np.sin(7 * np.arange(SMALL.n_architectures))
FIRST = [0, 44, 7, 31, 12, 20, 3, 38]  # observed before the fit
LATER = [9, 26, 40]


@pytest.fixture
def fitted() -> Surface:
    found = Surface(SMALL)
    found.fit(FIRST, DROPS[FIRST])
    return found


def one_hot(numbers) -> np.ndarray:
    """(n, 11), the choices of every stage side by side."""
    choices = np.array(list(SMALL))[list(numbers)]
    return np.hstack([np.eye(n)[choices[:, i]] for i, n in enumerate(SMALL.n_choices)])


def botorch_posterior(observed) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (dB) of every candidate, from a model fitted to FIRST that saw `observed`.

    Drops are standardized as at the fit.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what BoTorch imports
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

    offset, scale = DROPS[FIRST].mean(), DROPS[FIRST].std(ddof=1)

    def data(numbers):
        values = torch.from_numpy((DROPS[numbers] - offset) / scale)
        return torch.from_numpy(one_hot(numbers)), values

    x, y = data(FIRST)
    model = SingleTaskGP(x, y[:, None], outcome_transform=None)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    model.set_train_data(*data(observed), strict=False)
    with torch.no_grad():
        posterior = model.posterior(torch.from_numpy(one_hot(range(SMALL.n_architectures))))
    mean, variance = (part.numpy().ravel() for part in (posterior.mean, posterior.variance))
    return offset + scale * mean, scale * np.sqrt(variance)


def test_after_a_fit_it_is_botorchs_posterior(fitted):
    mean, std = botorch_posterior(FIRST)
    assert fitted.mean == pytest.approx(mean, abs=1e-6)
    assert fitted.std == pytest.approx(std, abs=1e-6)
    assert np.ptp(fitted.mean) > 0.1 * np.ptp(DROPS)  # it is not a comparison of constants


def test_after_further_observations_it_is_still_botorchs_posterior(fitted):
    for number in LATER:
        fitted.believe(number)
    fitted.fill_in(DROPS[LATER])
    mean, std = botorch_posterior(FIRST + LATER)
    assert fitted.mean == pytest.approx(mean, abs=1e-6)
    assert fitted.std == pytest.approx(std, abs=1e-6)


def test_a_believed_observation_moves_no_mean_and_shrinks_the_deviation(fitted):
    mean, std = fitted.mean.copy(), fitted.std.copy()
    fitted.believe(LATER[0])
    assert fitted.mean.tolist() == mean.tolist()
    assert (fitted.std <= std).all()
    assert fitted.std[LATER[0]] < 0.5 * std[LATER[0]]


def test_believing_first_and_filling_in_later_equals_having_observed(fitted):
    at_once = Surface(SMALL)
    at_once.fit(FIRST, DROPS[FIRST])
    for number in LATER:
        at_once.believe(number)
        at_once.fill_in(DROPS[[number]])
        fitted.believe(number)
    fitted.fill_in(DROPS[LATER[:1]])
    fitted.fill_in(DROPS[LATER[1:]])
    assert fitted.mean == pytest.approx(at_once.mean, abs=1e-12)
    assert fitted.std == pytest.approx(at_once.std, abs=1e-12)


def test_room_for_rows_grows_as_they_come(fitted, monkeypatch):
    monkeypatch.setattr(surface, "GROWTH", 1)
    narrow = Surface(SMALL)
    narrow.fit(FIRST, DROPS[FIRST])
    for one in (narrow, fitted):
        for number in LATER:
            one.believe(number)
        one.fill_in(DROPS[LATER])
    assert narrow.mean.tolist() == fitted.mean.tolist()
    assert narrow.std.tolist() == fitted.std.tolist()


def test_another_fit_starts_again_from_what_was_observed(fitted):
    for number in LATER:
        fitted.believe(number)
    fitted.fit(FIRST, DROPS[FIRST])  # the beliefs are gone
    mean, std = botorch_posterior(FIRST)
    assert fitted.mean == pytest.approx(mean, abs=1e-6)
    assert fitted.std == pytest.approx(std, abs=1e-6)


def test_equal_drops_are_no_obstacle():
    flat = Surface(SMALL)
    flat.fit(FIRST, np.full(len(FIRST), 0.25))
    assert flat.mean == pytest.approx(np.full(SMALL.n_architectures, 0.25), abs=1e-6)
    assert np.isfinite(flat.std).all()


def test_the_number_of_threads_is_left_as_it_was():
    import torch

    torch.set_num_threads(2)
    Surface(SMALL).fit(FIRST, DROPS[FIRST])
    assert torch.get_num_threads() == 2


MODELS = """
import numpy as np
import small_space
from ensrepro import search
for sampler, n in (("exact-ehvi", 17), ("paper-ehvi", 17)):
    search.run(small_space.Additive(small_space.SMALL), space=small_space.SMALL,
               sampler=sampler, n_trials=n, batch=1)
"""


def test_models_are_fitted_without_a_warning():
    """In a process of its own, as imports warn once."""
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = [sys.executable, "-W", "error", "-c", MODELS]
    done = subprocess.run(code, env=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
