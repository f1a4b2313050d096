"""Schedules for networks that need larger images: sides fit, steps stay, work does not grow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensrepro.schedules import Distillation, Phase, Schedule, rounded_up

phases = st.builds(Phase, st.integers(1, 9), st.integers(1, 64), st.integers(1, 400))
multiples = st.sampled_from([1, 8, 16, 128])


@given(phases, multiples)
def test_a_fitted_phase_is_the_smallest_that_fits_and_sees_no_more_pixels(phase, multiple):
    fitted = phase.fitted(multiple)
    assert fitted.steps == phase.steps
    assert fitted.patch % multiple == 0
    assert 0 <= fitted.patch - phase.patch < multiple
    assert 1 <= fitted.batch <= phase.batch
    assert fitted.batch == 1 or fitted.batch * fitted.patch**2 <= phase.batch * phase.patch**2
    assert (fitted.batch + 1) * fitted.patch**2 > phase.batch * phase.patch**2
    assert fitted.fitted(multiple) == fitted


@given(phases, multiples)
def test_a_phase_that_fits_stays_as_it_is(phase, multiple):
    fits = replace(phase, patch=rounded_up(phase.patch, multiple))
    assert fits.fitted(multiple) == fits


def test_a_schedule_keeps_all_but_its_patches():
    schedule = Schedule((Phase(3200, 4, 64), Phase(800, 2, 96)), lr=1.2e-3, hold=0.3, warmup=50)
    # (2, 96) are 18,432 pixels, one patch of 128 has 16,384
    fitted = (Phase(3200, 1, 128), Phase(800, 1, 128))
    assert schedule.fitted(128) == replace(schedule, phases=fitted)


@given(st.integers(1, 4096), phases, multiples)
def test_a_fitted_distillation_can_still_draw_its_batches_from_its_cache(n, phase, multiple):
    phase = replace(phase, batch=min(phase.batch, n))
    schedule = Schedule((phase,), lr=1e-3)
    fitted = Distillation(n, phase.patch, schedule, schedule).fitted(multiple)
    for own in (*fitted.schedule.phases, *fitted.full_resolution.phases):
        assert own.patch == fitted.patch
        assert own.batch <= fitted.n_patches


@pytest.mark.parametrize(("n", "expected"), [(1, 128), (127, 128), (128, 128), (129, 256)])
def test_rounding_up_stops_at_the_first_multiple(n, expected):
    assert rounded_up(n, 128) == expected
