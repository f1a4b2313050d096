"""What the ablations and the Uformer pair come to, told from made-up arms of both signs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ensrepro.devices.stage_sums import SumError
from ensrepro.results import ablated
from ensrepro.results.ablated import DISTILLED, DRAWS, EQUAL, RANDOM, UNDISTILLED, Ablation, Beside
from ensrepro.seeds import Against
from ensrepro.space import RESTORMER

PSNR = {
    DISTILLED: [22.5, 22.7, 22.6],  # mean 22.6
    UNDISTILLED: [22.2, 22.5, 22.1],
    RANDOM: [20.0, 20.4, 20.2],
    EQUAL: [22.1, 22.5, 22.3],
    DRAWS: [22.0, 22.9, 21.5, 22.6],
}
PENALTIES = (20.0, 35.0, 25.0, 30.0)  # of the draws; that of the chosen hybrid is 25


def made(before: dict[str, list[float]] | None = None, **psnr: list[float]) -> Ablation:
    """The arms above with some changed; on validation they are 1 dB higher, SSIM is 0.9."""
    test = PSNR | psnr
    validation = {arm: [value + 1 for value in values] for arm, values in test.items()}
    ssim = {arm: [0.9] * len(values) for arm, values in test.items()}
    start = {DISTILLED: [22.0] * 3, UNDISTILLED: [19.75] * 3} | (before or {})
    return Ablation(start, validation, test, ssim, 25.0, PENALTIES[: len(test[DRAWS])])


# ---- the arms -------------------------------------------------------------------------------


def test_an_arm_is_held_against_another_seed_by_seed():
    found = ablated.change(PSNR, UNDISTILLED)
    # 22.2 - 22.5, 22.5 - 22.7, 22.1 - 22.6; the means alone would have a range of 0.6
    assert found.changes == pytest.approx([-0.3, -0.2, -0.5])
    assert (found.reference, found.n_reference) == ("distilled", 3)


def test_a_draw_is_held_against_the_mean_and_never_against_the_seed_of_its_place():
    found = ablated.change(PSNR, DRAWS)
    assert found.changes == pytest.approx([-0.6, 0.3, -1.1, 0.0])  # against 22.6
    assert found.n_reference == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([-0.5, 0.25], "-0.12 dB (-0.50 to +0.25, 2 seeds)"),
        ([0.5], "+0.50 dB (one seed)"),
        ([-0.001], "+0.00 dB (one seed)"),  # no minus before nothing
    ],
)
def test_a_change_has_its_sign_and_its_range(changes, expected):
    assert ablated.told(Against("teacher", changes, 1)) == expected


def test_distilled_surrogates_may_end_above_undistilled_ones():
    # 22 - 19.75 before; seed by seed 0.3, 0.2 and 0.5 after, on both splits
    assert ablated.distillation(made()) == (
        "On the validation crops distilled surrogates are at +2.25 dB against undistilled ones "
        "before fine-tuning, and at +0.33 dB (+0.20 to +0.50, 3 seeds) after it. On the test "
        "photos they are then at +0.33 dB (+0.20 to +0.50, 3 seeds)."
    )


def test_distilled_surrogates_may_end_below_undistilled_ones():
    upside_down = made({UNDISTILLED: [23.0] * 3}, reinitialized=[22.7, 22.9, 22.8])
    said = ablated.distillation(upside_down)
    assert "at -1.00 dB against undistilled ones before fine-tuning" in said
    assert said.count("-0.20 dB (-0.20 to -0.20, 3 seeds)") == 2
    assert "+" not in said


def test_the_other_arms_are_told_beside_each_other():
    said = ablated.other_arms(made())
    # 20.0 - 22.5, 20.4 - 22.7, 20.2 - 22.6; then against 22.2, 22.5 and 22.1
    assert "random weights are at -2.40 dB (-2.50 to -2.30, 3 seeds)" in said
    assert "equal blocks at -0.30 dB (-0.40 to -0.20, 3 seeds)" in said
    assert "random weights are at -2.07 dB (-2.20 to -1.90, 3 seeds); two things" in said


def test_random_weights_that_end_above_are_not_called_lower():
    said = ablated.other_arms(made(random_weights=[22.8, 23.0, 22.9]))
    assert "random weights are at +0.30 dB (+0.30 to +0.30, 3 seeds)" in said
    assert "random weights are at +0.63 dB (+0.50 to +0.80, 3 seeds)" in said
    assert "lower" not in said


# ---- the draws ------------------------------------------------------------------------------


def test_draws_are_told_by_size_and_a_tie_is_neither_above_nor_below():
    said = ablated.random_hybrids(made(distilled=[22.6, 22.6, 22.6]))
    assert said.startswith("Of 4 random hybrids 1 end above the chosen one on the test photos, 1 ")
    assert "1 level with it and 2 below" in said
    # penalties 20 and 25 of 22.0 and 21.5 dB; 35 and 30 of 22.9 and 22.6 dB
    assert "Of the 2 with a penalty of at most its 25, 0 end above it." in said
    assert "Of the 2 with a higher penalty, 1 end above it." in said
    # ranks by penalty 1 4 2 3, by PSNR 2 4 1 3: 1 - 6 * 2 / (4 * 15)
    assert "rank correlation of penalty and PSNR is +0.80 (" in said


@pytest.mark.parametrize(
    ("penalty", "none"),
    [(19.0, "No draw has a penalty of at most its 19."), (35.0, "No draw has a higher penalty.")],
)
def test_draws_that_are_all_larger_or_all_smaller_than_the_chosen_one(penalty, none):
    found = made(distilled=[20.0, 20.0, 20.0])
    found = Ablation(found.before, found.after, found.psnr, found.ssim, penalty, PENALTIES)
    said = ablated.random_hybrids(found)
    assert "Of 4 random hybrids 4 end above the chosen one on the test photos, 0 level" in said
    assert none in said
    assert said.count("Of the 4 with") == 1
    assert ", 4 end above it." in said


def test_a_correlation_may_be_negative_and_of_one_draw_there_is_none():
    said = ablated.random_hybrids(made(random_hybrids=[22.9, 21.5, 22.6, 22.0]))
    assert "is -1.00 (" in said  # the order by PSNR is that by penalty, reversed
    assert "have no rank correlation" in ablated.random_hybrids(made(random_hybrids=[22.9]))


def test_the_papers_draw_is_placed_by_its_printed_differences():
    # table 5: 31.82 - 33.08, 39.88 - 40.04 and 39.98 - 39.37 dB
    expected = {"GoPro": -1.26, "SIDD": -0.16, "Rain100L": 0.61}
    assert ablated.printed_draw() == pytest.approx(expected)
    # draws at -0.6, +0.3, -1.1 and 0.0 dB: none at -1.26 or lower, two at -0.16, all at +0.61
    said = ablated.papers_draw(made())
    assert "GoPro -1.26 dB, 0 of 4; SIDD -0.16 dB, 2 of 4; Rain100L +0.61 dB, 4 of 4." in said
    assert "The mean of the draws here is at -0.35 dB." in said


def test_draws_above_the_chosen_one_do_not_place_the_paper_lower():
    said = ablated.papers_draw(made(random_hybrids=[24.0, 23.0]))
    assert "GoPro -1.26 dB, 0 of 2; SIDD -0.16 dB, 0 of 2; Rain100L +0.61 dB, 1 of 2." in said
    assert "is at +0.90 dB." in said


# ---- what the notebook shows and tells -------------------------------------------------------


def test_the_findings_are_one_list():
    found = made()
    lines = ablated.findings(found).split("\n")
    told = (ablated.distillation, ablated.other_arms, ablated.random_hybrids, ablated.papers_draw)
    assert lines == [f"* {tell(found)}" for tell in told]


def test_the_table_has_a_line_an_arm_and_none_is_held_against_itself():
    lines = {line["arm"]: line for line in ablated.lines(made())}
    assert list(lines) == [ablated.NAMES[arm] for arm in PSNR]
    assert lines["distilled"]["psnr"] == pytest.approx(22.6)
    assert lines["distilled"]["change"] is lines["distilled"]["low"] is None
    random = lines["random weights"]
    assert (random["change"], random["low"], random["high"]) == pytest.approx((-2.4, -2.5, -2.3))
    assert (lines["random hybrids"]["n"], lines["random hybrids"]["ssim"]) == (4, 0.9)


def result(before: float, after: float, *photos: tuple[float, float]) -> SimpleNamespace:
    """What a fine-tuned network tells: its validation PSNR, PSNR and SSIM of each test photo."""
    return SimpleNamespace(
        before=before, after=after, test=[{"psnr": psnr, "ssim": ssim} for psnr, ssim in photos]
    )


def test_the_headline_has_both_metrics_of_every_arm_and_the_penalties():
    arms = [DISTILLED, UNDISTILLED, RANDOM, EQUAL]
    networks = {
        arm: [result(20, 21, (22, 0.8), (24, 0.9)), result(20, 21, (25, 0.9))] for arm in arms
    }
    networks[DRAWS] = [
        result(20, 21, (21, 0.7)),
        result(20, 21, (20, 0.6)),
        result(0, 1, (19, 0.5)),
    ]
    drawn = [RESTORMER.teacher, RESTORMER.all_ssm, RESTORMER.cheapest]
    found = ablated.gathered(networks, RESTORMER.all_ssm, drawn)
    told = found.headline("4 6 6 8 6 6 4 4")
    assert set(told) == {"chosen", "split", "psnr", "ssim", "penalty"}
    assert (told["chosen"], told["split"]) == ("4 6 6 8 6 6 4 4", "test photos")
    assert told["psnr"] == {**{arm: [23.0, 25.0] for arm in arms}, DRAWS: [21.0, 20.0, 19.0]}
    assert told["ssim"][RANDOM] == pytest.approx([0.85, 0.9])
    assert set(told["psnr"]) == set(told["ssim"])
    # 44 blocks: 1 each in the teacher, 0.4 as surrogates; the cheapest has 2 in each of 8 stages
    assert told["penalty"]["chosen"] == pytest.approx(44 * 0.4)
    assert told["penalty"][DRAWS] == pytest.approx([44, 44 * 0.4, 16 * 0.4])
    assert (found.before[DRAWS], found.after[DRAWS]) == ([20, 20, 0], [21, 21, 1])


def test_every_arm_of_the_step_has_a_key_and_a_name():
    assert {*ablated.KEYS.values(), DISTILLED, DRAWS} == set(ablated.NAMES)
    assert set(ablated.KEYS) == set(ablated.ablation.ARMS)


# ---- notebook 10 ----------------------------------------------------------------------------


def test_a_hybrid_is_told_beside_the_teacher_as_it_was_and_the_one_trained_as_long():
    # 21.2 - 21.3 and 21.4 - 21.7 seed by seed; then all against 21.0
    said = ablated.beside_teachers(Beside(21.0, [21.2, 21.4], [21.3, 21.7]))
    assert said == (
        "On the test photos the hybrid is at -0.20 dB (-0.30 to -0.10, 2 seeds) against the "
        "teacher with the same extra steps, and at +0.30 dB (+0.20 to +0.40, 2 seeds) against the teacher as "
        "it was, which the extra steps alone take to +0.50 dB (+0.30 to +0.70, 2 seeds)."
    )


def test_extra_steps_may_harm_a_teacher():
    said = ablated.beside_teachers(Beside(21.0, [20.9], [20.5]))
    assert "at +0.40 dB (one seed) against the teacher with the same extra steps" in said
    assert "and at -0.10 dB (one seed) against the teacher as it was" in said
    assert said.endswith("take to -0.50 dB (one seed).")


def test_scores_of_the_pair_are_kept_by_seed():
    teacher = [{"psnr": 20.0, "ssim": 0.7}, {"psnr": 22.0, "ssim": 0.8}]
    hybrid = [result(0, 0, (22, 0.8)), result(0, 0, (23, 0.9))]
    made = ablated.beside(teacher, hybrid, hybrid[::-1])
    assert made["psnr"]._asdict() == {"teacher": 21.0, "hybrid": [22, 23], "longer": [23, 22]}
    assert made["ssim"].teacher == pytest.approx(0.75)
    assert made["ssim"].hybrid == [0.8, 0.9]


def test_sums_of_stages_are_told_with_their_error_or_as_untested():
    said = ablated.sums(SumError(3, -0.02, 0.155))
    assert "are -2.0% to +15.5% off (hybrids timed whole: 3)" in said
    assert ablated.sums(None) == "No hybrid was timed whole on the device of the stages."
