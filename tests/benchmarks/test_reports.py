"""Tables: every network has its own rows and its own average."""

from __future__ import annotations

from itertools import chain

import pytest

from ensrepro.benchmarks import evaluation, reports
from ensrepro.benchmarks.catalog import BENCHMARKS, DERAINING
from ensrepro.benchmarks.evaluation import Result


def result(benchmark: str, subject: str, psnr: float) -> Result:
    """A whole set's result, as `evaluation.run` returns it."""
    return Result(
        benchmark=benchmark,
        title=BENCHMARKS[benchmark].title,
        subject=subject,
        task="derain",
        protocol="derain_y",
        layout="released",
        inference="whole images",
        n_images=2,
        n_expected=2,
        is_partial=False,
        groups=[{"group": "all", "n_images": 2, "psnr": psnr, "ssim": 0.9}],
        reasons={},
        packages={},
        rows=[],
    )


A = [result(name, "A", 30.0 + n) for n, name in enumerate(DERAINING)]  # mean 32
B = [result(name, "B", 50.0 + n) for n, name in enumerate(DERAINING)]  # mean 52
TWO_NETWORKS = [A + B, B + A, list(chain(*zip(A, B, strict=True)))]


@pytest.mark.parametrize("results", TWO_NETWORKS, ids=["A, B", "B, A", "in turns"])
def test_every_network_has_the_average_of_its_own_results(results):
    lines = reports.markdown(results).splitlines()
    found = sorted(line for line in lines if line.startswith("| average "))
    assert found == [
        "| average | A | all | mean of 5 sets | 32.00 | 0.900 |",
        "| average | B | all | mean of 5 sets | 52.00 | 0.900 |",
    ]


def test_a_network_without_all_five_sets_has_no_average():
    lines = reports.markdown(A + B[1:]).splitlines()
    assert [line.split(" | ")[1] for line in lines if line.startswith("| average ")] == ["A"]


@pytest.mark.parametrize("results", TWO_NETWORKS, ids=["A, B", "B, A", "in turns"])
def test_results_of_two_networks_have_no_common_average(results):
    with pytest.raises(ValueError, match="results are of A and B; expected one subject"):
        evaluation.average(results, DERAINING)


def test_two_results_of_one_set_have_no_average():
    """Of which of the two would it be? The last one won, whatever it was."""
    again = result("rain100l", "A", 99.0)
    with pytest.raises(ValueError, match="results have rain100l twice; expected one of each"):
        evaluation.average([*A, again], DERAINING)
