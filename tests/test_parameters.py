"""Parameters of notebooks: what is refused, alone and together, before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ensrepro import latency, notebook, parameters
from ensrepro.space import RESTORMER, UFORMER

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"sampler": "nsga4"}, ValueError, "sampler is 'nsga4'; expected one of exact-ehvi"),
        ({"rule": "best"}, ValueError, "rule is 'best'; expected one of nearest"),
        ({"method": "elbow"}, ValueError, "method is 'elbow'; expected one of chord"),
        ({"penalty_table": "x"}, ValueError, "penalty_table is 'x'; expected one of blocks"),
        ({"stage": "latent"}, ValueError, "stage is 'latent'; expected one of encoder_1"),
        ({"stage": "bottleneck", "depth": 5}, ValueError, "depth is 5; bottleneck has surrogates"),
        ({"depth": 2.0}, TypeError, "depth is 2.0; expected an integer"),
        ({"seed": -1}, ValueError, "seed is -1; expected an integer >= 0"),
        ({"seed": True}, TypeError, "seed is True; expected an integer"),
        ({"n_draws": 0}, ValueError, "n_draws is 0; expected an integer >= 1"),
        ({"n_draws": -1}, ValueError, "n_draws is -1; expected an integer >= 1"),
        ({"n_trials": 1, "sampler": "random"}, ValueError, "n_trials is 1; expected an integer"),
        ({"n_trials": 40000, "sampler": "random"}, ValueError, "draws without replacement from"),
        ({"latency_budget_ms": -0.5}, ValueError, "latency_budget_ms is -0.5; expected a number"),
        (
            {"latency_budget_ms": 9.0, "sampler": "paper-ehvi"},
            ValueError,
            "latency_budget_ms is 9.0; paper-ehvi takes none",
        ),
        ({"max_resolution": 8}, ValueError, "max_resolution is 8; expected 16 to 512"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_refused_with_what_can(values, error, message):
    with pytest.raises(error) as caught:
        parameters.check_values(RESTORMER, values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_the_defaults_of_every_notebook_are_allowed(path):
    declared = notebook.declared_parameters(path)
    parameters.check_values(RESTORMER, declared)
    known = {*parameters.CHOICES, *parameters.NAMES, *parameters.REALS, *parameters.COUNTS, "stage"}
    common = {"task", "profile", "pair", "out"}
    assert declared.keys() <= known | common, "a parameter that is checked only in the kernel"


def test_what_is_allowed_depends_on_the_pair():
    parameters.check_values(RESTORMER, {"stage": "refinement"})
    with pytest.raises(ValueError, match="stage is 'refinement'"):
        parameters.check_values(UFORMER, {"stage": "refinement"})


def test_names_that_are_not_known_are_left_to_the_notebook():
    parameters.check_values(RESTORMER, {"rate": -1.5, "fast": True})


def test_the_bounds_of_the_resolution_are_those_of_the_profiling():
    assert parameters.BOUNDS["max_resolution"] == (latency.SIDES[0], latency.SIDES[-1])


@pytest.mark.parametrize("wrong", [("smapler", "random"), ("sampler", "randm")], ids="=".join)
def test_a_mistake_is_told_before_any_network_library_is_loaded(wrong):
    code = (
        "import sys\nfrom ensrepro import cli\n"
        f"status = cli.main(['run', '04_search', '-p', *{wrong!r}])\n"
        "print(status, *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, *loaded = done.stdout.split()
    assert status == "2"
    assert wrong[0] in done.stderr
    assert not {"torch", "numba", "optuna", "papermill", "matplotlib"} & set(loaded)
    if wrong[0] == "smapler":
        assert not {"numpy", "scipy"} & set(loaded)
