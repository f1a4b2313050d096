"""The steps at the smallest scale: made once, found again, never mixed, never written over."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ensrepro import data, distill, evaluate, training, weights
from ensrepro.artifacts import Store
from ensrepro.config import PAIRS, PROFILES, TASKS
from ensrepro.models.hybrid import assemble
from ensrepro.queue import Queue
from ensrepro.space import RESTORMER, penalty
from ensrepro.steps import baselines, context, finetune, knee, pool, search, teacher
from ensrepro.steps.context import Context

JOB = ((0, 3, 0, 4, 0, 0, 2, 1), 0)


pytestmark = pytest.mark.usefixtures("one_thread")


def context_in(root: Path, profile: str = "smoke", fallback: Path | None = None) -> Context:
    store = Store(profile, "denoise", root, fallback)
    return Context(PROFILES[profile], TASKS["denoise"], PAIRS["restormer-mambair"], store)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Every step of profile `smoke`, made once for this module."""
    ctx = context_in(tmp_path_factory.mktemp("smoke"))
    base = teacher.get(ctx)
    parts = pool.get(ctx, base)
    run = search.get(ctx, base, parts)
    tuned = finetune.get(ctx, base, parts, JOB)
    rows = [row for method in ("input", "nlm") for row in baselines.get(ctx, method).rows]
    return SimpleNamespace(
        ctx=ctx, teacher=base, pool=parts, search=run, finetuned=tuned, baselines=rows
    )


@pytest.fixture
def copied(made: SimpleNamespace, tmp_path: Path) -> Context:
    """A context on a copy of the files, to be damaged."""
    shutil.copytree(made.ctx.store.root, tmp_path, dirs_exist_ok=True)
    return context_in(tmp_path)


@pytest.fixture
def nothing_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("computed again")

    for module, name in (
        (training, "fit"),
        (distill, "fit"),
        (distill, "cache_features"),
        (evaluate, "measure"),
        (evaluate, "restore"),
    ):
        monkeypatch.setattr(module, name, refuse)


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def damage(path: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


# ---------------------------------------------------------------- what is made


def test_a_second_call_computes_nothing_and_finds_the_same(made, nothing_computed):
    ctx, before = made.ctx, files(made.ctx.store.root)
    base = teacher.get(ctx)
    parts = pool.get(ctx, base)
    assert base.result == made.teacher.result
    assert parts.result == made.pool.result
    assert search.get(ctx, base, parts) == made.search
    assert finetune.get(ctx, base, parts, JOB).result == made.finetuned.result
    assert [f.result for f in finetune.get_many(ctx, base, parts, [JOB])] == [made.finetuned.result]
    assert [row for m in ("input", "nlm") for row in baselines.get(ctx, m).rows] == made.baselines
    for name, tensor in made.teacher.net.state_dict().items():
        assert torch.equal(base.net.state_dict()[name], tensor), name
    assert files(ctx.store.root) == before


def test_another_process_with_the_same_profile_ends_with_the_same_weights(made, tmp_path):
    again = teacher.get(context_in(tmp_path))
    assert again.result.digest == made.teacher.result.digest
    assert again.result.losses == made.teacher.result.losses
    assert again.result.test == made.teacher.result.test


def test_the_teacher_learned_and_is_scored_on_the_test_photos(made):
    result, net = made.teacher.result, made.teacher.net
    assert result.n_parameters == sum(p.numel() for p in net.parameters())
    assert not net.training
    assert net.output.weight.abs().max() > 0  # it started at zero
    assert list(result.identity_drops) == [stage.name for stage in RESTORMER.stages]
    [photo], [found] = made.ctx.test, result.test
    assert found["method"] == "teacher"
    image = evaluate.restore(net, photo.degraded)
    expected = evaluate.metrics.psnr(image, photo.clean, "sidd")
    assert (found["image"], found["psnr"]) == ("coffee", pytest.approx(expected, abs=1e-9))


def test_the_teacher_starts_from_a_network_trained_on_an_easier_degradation(made):
    begun, digest = teacher.start(made.ctx)
    assert digest == made.teacher.result.start
    assert begun.output.weight.abs().max() > 0
    schedule = made.ctx.profile.pretraining
    expected = teacher.untrained(made.ctx)
    first, _ = data.training_batch("white_noise", teacher.SEED, 0, schedule.phase_at(0))
    assert torch.equal(expected(first), first)  # untrained, it returns its input
    assert not torch.equal(begun(first), first)


def test_both_trainings_see_the_images_and_start_from_the_weights_they_claim(tmp_path, monkeypatch):
    seen: list[tuple[str, str]] = []
    real = training.fit

    def fit(net, batch, *arguments, **options):
        seen.append((batch.args[0], context.digest(net)))
        return real(net, batch, *arguments, **options)

    monkeypatch.setattr(training, "fit", fit)
    ctx = context_in(tmp_path)
    base = teacher.get(ctx)
    untrained = context.digest(teacher.untrained(ctx))
    assert seen == [("white_noise", untrained), ("denoise", base.result.start)]


def test_a_teacher_that_began_with_other_weights_is_refused(copied):
    path = copied.store.manifest(teacher.PRETRAINING)
    content = json.loads(path.read_text())
    content["result"]["digest"] = "0" * 16
    path.write_text(json.dumps(content))
    message = refusal(lambda: teacher.get(copied))
    assert f"{path} has {'0' * 16}" in message


def test_a_profile_without_a_first_training_starts_from_random_weights(made):
    plain = replace(made.ctx, profile=replace(made.ctx.profile, pretraining=None))
    net, digest = teacher.start(plain)
    assert digest == ""
    assert context.digest(net) == context.digest(teacher.untrained(made.ctx))
    assert "move it away" in refusal(lambda: teacher.get(plain))  # its identity is another one


def test_a_gain_is_paired_by_photo_whatever_the_order():
    rows = [{"image": name, "psnr": psnr} for name, psnr in (("a", 21.0), ("b", 33.0), ("c", 27.0))]
    reference = [{"image": n, "psnr": p} for n, p in (("c", 25.0), ("b", 32.0), ("a", 18.0))]
    gain = finetune.paired_gain(rows, reference)
    # gains 3, 1, 2: mean 2, standard deviation 1
    assert gain == (pytest.approx(2.0), pytest.approx(3**-0.5), 3)
    # Student's t with 2 degrees of freedom: 4.303 at 97.5 %, in any table
    assert gain.half_width == pytest.approx(4.303 * 3**-0.5, rel=1e-3)
    alone = finetune.paired_gain(rows[:1], reference)
    assert alone.mean == 3.0
    assert np.isnan(alone.standard_error)


def test_a_baseline_is_scored_on_the_same_photos(made):
    [photo] = made.ctx.test
    noisy, means = made.baselines
    assert (noisy["method"], noisy["image"]) == ("input", "coffee")
    assert noisy["psnr"] == evaluate.metrics.psnr(photo.degraded, photo.clean, "sidd")
    assert (means["method"], means["image"]) == ("nlm", "coffee")
    assert means["psnr"] > noisy["psnr"]


def test_bm3d_counts_only_where_it_is_installed_or_on_file(made, copied, monkeypatch):
    monkeypatch.setattr(baselines.artifacts, "installed", lambda _: "absent")
    assert not baselines.available(made.ctx, "bm3d")
    assert {row["method"] for row in baselines.rows(made.ctx)} == {"input", "nlm"}
    path = copied.store.manifest(baselines.step_name("nlm"))
    content = json.loads(path.read_text())
    content |= {"step": "baseline-bm3d", "identity": {**content["identity"], "method": "bm3d"}}
    path.with_name("baseline-bm3d.json").write_text(json.dumps(content))
    assert baselines.available(copied, "bm3d")
    assert len(baselines.rows(copied)) == 3
    monkeypatch.setattr(baselines.artifacts, "installed", lambda _: "4.0.3")
    assert baselines.available(made.ctx, "bm3d")
    reading = replace(made.ctx, may_compute=False)
    assert {row["method"] for row in baselines.rows(reading)} == {"input", "nlm"}


def test_a_context_that_may_not_compute_says_what_is_missing(made, nothing_computed):
    reading = replace(made.ctx, may_compute=False)
    base = teacher.get(reading)
    parts = pool.get(reading, base)
    assert search.get(reading, base, parts) == made.search
    with pytest.raises(FileNotFoundError, match=r"s1\.json does not exist, and nothing may be"):
        list(finetune.get_many(reading, base, parts, [(JOB[0], 1), (JOB[0], 2)]))


def test_what_is_saved_is_what_was_measured(made):
    """Weights are rounded to float16 before they are measured, so that the file holds them."""
    for tensor in made.teacher.net.state_dict().values():
        assert torch.equal(tensor, tensor.half().float())
    drops = evaluate.identity_drops(made.teacher.net, made.ctx.validation, "sidd")
    assert drops == pytest.approx(made.teacher.result.identity_drops, abs=1e-9)


def test_the_pool_has_a_row_for_each_surrogate_that_agrees_with_its_weights(made):
    rows = {(row["stage"], row["depth"]): row for row in made.pool.result.rows}
    assert list(rows) == list(RESTORMER.surrogates)
    base = made.ctx.psnr(made.teacher.net)
    key = ("bottleneck", 2)
    hybrid = assemble(made.teacher.net, made.pool.surrogates, RESTORMER.swapped("bottleneck", 4))
    assert rows[key]["psnr_drop"] == pytest.approx(base - made.ctx.psnr(hybrid), abs=1e-6)
    images = data.to_tensor([pair.degraded for pair in made.ctx.validation])
    features = distill.stage_io(made.teacher.net, images)["bottleneck"]
    fidelity = distill.fidelity(made.pool.surrogates[key], features)
    assert rows[key]["relative_error"] == pytest.approx(fidelity.relative_error, rel=1e-6)
    assert rows[key]["n_parameters"] == sum(
        p.numel() for p in made.pool.surrogates[key].parameters()
    )


def test_a_search_is_about_hybrids_of_these_very_parts(made):
    run = made.search
    assert run.architectures[:2] == [0, RESTORMER.index(RESTORMER.cheapest)]
    assert len(run.architectures) == run.n_trials == PROFILES["smoke"].n_trials
    for number, psnr, cost in zip(run.architectures, run.psnr, run.penalty, strict=True):
        architecture = RESTORMER.architecture(number)
        assert cost == penalty(architecture)
        hybrid = assemble(made.teacher.net, made.pool.surrogates, architecture)
        assert psnr == pytest.approx(made.ctx.psnr(hybrid), abs=1e-6)
    assert run.points[0].tolist() == [0, 44]  # the teacher: 4+6+6+8+6+6+4+4 blocks
    assert np.all(np.diff(run.hypervolume) >= 0)


def test_two_searches_share_the_ledger(made, copied, monkeypatch):
    """Another sampler asks for teacher and cheapest again; neither is measured twice."""
    asked: list[tuple[int, ...]] = []
    measure = evaluate.measure

    def counted(net, surrogates, architectures, *rest):
        asked.extend(architectures)
        return measure(net, surrogates, architectures, *rest)

    monkeypatch.setattr(evaluate, "measure", counted)
    run = search.get(copied, made.teacher, made.pool, sampler="random", n_trials=4)
    known = {RESTORMER.architecture(i) for i in made.search.architectures}
    assert run.psnr[:2] == made.search.psnr[:2]
    assert not known & set(asked)
    assert len(asked) == len(set(asked)) <= 2


def test_a_search_on_a_table_gives_what_measuring_gives_and_leaves_the_ledger_alone(made, copied):
    quality = np.full((RESTORMER.n_architectures, 2), np.nan)  # only what is asked for is there
    for number, psnr, ssim in zip(
        made.search.architectures, made.search.psnr, made.search.ssim, strict=True
    ):
        quality[number] = psnr, ssim
    copied.store.manifest("search-exact-ehvi-6-blocks-s0").unlink()
    ledger = copied.store.ledger(search.LEDGER)
    before = ledger.read_bytes()
    known = search.Known(quality=quality)
    assert search.get(copied, made.teacher, made.pool, known=known) == made.search
    assert ledger.read_bytes() == before


def test_a_latency_budget_bounds_the_front_and_the_candidates_and_has_a_file_of_its_own(
    copied, made
):
    latency = 100.0 + np.arange(RESTORMER.n_architectures) % 7  # 103 ms or less: four in seven
    run = search.get(
        copied,
        made.teacher,
        made.pool,
        sampler="random",
        n_trials=12,
        latency_budget_ms=103.0,
        known=search.Known(latency_ms=latency),
    )
    assert (
        (copied.store.root / "results/smoke/denoise")
        .joinpath("search-random-12-blocks-s0-within103.0ms.json")
        .exists()
    )
    allowed = latency[run.architectures] <= 103.0
    assert run.allowed == allowed.tolist()
    assert allowed[2:].all()  # the two anchors are measured whatever they take
    choice = knee.choose(copied, run)
    assert all(latency[RESTORMER.index(a)] <= 103.0 for a in choice.candidates)
    assert all(latency[row["architecture"]] <= 103.0 for row in choice.sensitivity)
    with pytest.raises(ValueError, match="latency_budget_ms is 99; expected at least 100"):
        search.get(
            *(copied, made.teacher, made.pool),
            latency_budget_ms=99.0,
            known=search.Known(latency_ms=latency),
        )


def test_a_search_shared_through_a_queue_finds_what_one_process_finds(made, copied, tmp_path):
    copied.store.manifest("search-exact-ehvi-6-blocks-s0").unlink()
    copied.store.ledger(search.LEDGER).unlink()
    names = []

    def share(name: str) -> search.Objective:
        names.append(name)
        key = search.key(copied, made.teacher, made.pool)
        shared = Queue(f"sqlite:///{tmp_path}/queue.db", name, key)
        return shared.objective(search.objective(copied, made.teacher, made.pool))

    run = search.get(copied, made.teacher, made.pool, share=share)
    assert names == ["search-exact-ehvi-6-blocks-s0"]
    assert run.architectures == made.search.architectures
    assert run.psnr == pytest.approx(made.search.psnr, abs=1e-6)  # batches are other ones


def test_the_knee_is_on_the_front_and_first_among_distinct_candidates(made):
    choice = knee.choose(made.ctx, made.search)
    front = {made.search.architectures[row] for row in made.search.front}
    assert RESTORMER.index(choice.knee) in front
    assert len(set(choice.candidates)) == len(choice.candidates)
    assert len(choice.candidates) <= PROFILES["smoke"].n_candidates
    for architecture, row in zip(choice.candidates, choice.rows, strict=True):
        assert RESTORMER.index(architecture) == made.search.architectures[row]
    assert {row["table"] for row in choice.sensitivity} == {"blocks", "rank", "transformers"}


def test_fine_tuning_changes_the_hybrid_alone(made):
    result = made.finetuned.result
    hybrid = assemble(made.teacher.net, made.pool.surrogates, JOB[0])
    assert context.digest(hybrid) != result.digest
    assert result.before == pytest.approx(made.ctx.psnr(hybrid), abs=1e-9)
    assert result.after == pytest.approx(made.ctx.psnr(made.finetuned.net), abs=1e-9)
    assert context.digest(made.teacher.net) == made.teacher.result.digest
    assert context.digest(pool.as_module(made.pool.surrogates)) == made.pool.result.digest
    assert finetune.mean_test(result.test) == {
        "T 2 T 2 T T 2 4": pytest.approx(result.test[0]["psnr"])
    }


def test_the_best_is_chosen_by_validation_whatever_the_test_says():
    results = [
        SimpleNamespace(result=SimpleNamespace(after=after, test=[{"psnr": test}]))
        for after, test in ((20.0, 99.0), (21.0, 1.0), (20.5, 50.0))
    ]
    assert finetune.best(results) is results[1]


def test_a_loss_curve_holds_means_over_fifty_steps():
    assert context.loss_curve([1.0] * 50 + [2.0] * 50 + [5.0, 7.0]) == [1.0, 2.0, 6.0]


# ---------------------------------------------------------------- what is refused


def refusal(call, kind: type[Exception] = ValueError) -> str:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_damaged_weights_are_refused_by_name_and_left_alone(copied, made):
    path = copied.store.weights("teacher")
    damage(path)
    before = files(copied.store.root)
    assert str(path) in refusal(lambda: teacher.get(copied))
    path.write_bytes(path.read_bytes()[:1000])
    assert str(path) in refusal(lambda: teacher.get(copied))
    parts = copied.store.weights("pool")
    damage(parts)
    assert str(parts) in refusal(lambda: pool.get(copied, made.teacher))
    after = files(copied.store.root)
    assert after.keys() == before.keys()
    assert {n for n in after if after[n] != before[n]} == {
        str(p.relative_to(copied.store.root)) for p in (path, parts)
    }


def test_weights_of_another_profile_task_or_step_are_refused(copied, tmp_path):
    path = copied.store.weights("teacher")
    own = weights.load_weights(path, {})
    metadata = teacher.metadata(copied, "teacher")
    for key, value in (("profile", "mini"), ("task", "derain"), ("step", "pool")):
        path.unlink()  # nothing is written over
        weights.save_weights(path, own, {**metadata, key: value})
        message = refusal(lambda: teacher.get(copied))
        assert f"{path} has {key}={value!r}, expected {metadata[key]!r}" in message


def test_weights_of_another_training_are_refused(copied, made):
    """Right names, shapes and metadata, but not what the manifest speaks of."""
    path = copied.store.weights("teacher")
    own = dict(weights.load_weights(path, {}))
    own["output.weight"] = own["output.weight"] + np.float16(0.25)
    path.unlink()  # nothing is written over
    weights.save_weights(path, own, teacher.metadata(copied, "teacher"))
    message = refusal(lambda: teacher.get(copied))
    assert str(path) in message
    assert made.teacher.result.digest in message


def test_weights_with_other_names_or_shapes_are_refused(copied):
    path, metadata = copied.store.weights("teacher"), teacher.metadata(copied, "teacher")
    own = dict(weights.load_weights(path, {}))
    fewer = {name: array for name, array in own.items() if name != "stem.weight"}
    path.unlink()  # nothing is written over
    weights.save_weights(path, fewer, metadata)
    assert "the first is stem.weight" in refusal(lambda: teacher.get(copied))
    path.unlink()  # nothing is written over
    weights.save_weights(path, {**own, "stem.weight": np.zeros((16, 3, 3, 3))}, metadata)
    message = refusal(lambda: teacher.get(copied))
    assert "stem.weight has shape (16, 3, 3, 3), expected (8, 3, 3, 3)" in message


def test_missing_weights_are_named(copied):
    path = copied.store.weights("teacher")
    path.unlink()
    assert str(path) in refusal(lambda: teacher.get(copied), FileNotFoundError)


def test_a_manifest_of_another_profile_is_refused_and_left_alone(copied):
    mini = context_in(copied.store.root, "mini")
    path = mini.store.manifest("teacher")
    path.parent.mkdir(parents=True)
    path.write_bytes(copied.store.manifest("teacher").read_bytes())
    before = path.read_bytes()
    message = refusal(lambda: teacher.get(mini))
    assert str(path) in message
    assert "profile='smoke', expected 'mini'" in message
    assert path.read_bytes() == before


def test_results_made_with_other_settings_are_refused(copied, made):
    changed = replace(
        copied, profile=replace(copied.profile, teacher=replace(copied.profile.teacher, lr=0.5))
    )
    message = refusal(lambda: teacher.get(changed))
    assert str(copied.store.manifest("teacher")) in message
    assert "schedule" in message
    other = replace(made.teacher, result=replace(made.teacher.result, digest="0" * 16))
    for call in (
        partial(pool.get, copied, other),
        partial(search.get, copied, other, made.pool),
        partial(finetune.get, copied, other, made.pool, JOB),
    ):
        assert "teacher=" in refusal(call)


def test_a_ledger_of_another_teacher_is_refused(copied, made):
    other = replace(made.teacher, result=replace(made.teacher.result, digest="0" * 16))
    before = files(copied.store.root)
    message = refusal(lambda: search.get(copied, other, made.pool, sampler="random", n_trials=3))
    assert "evaluations.jsonl has weights" in message
    assert files(copied.store.root) == before


def test_a_cut_manifest_is_refused(copied):
    path = copied.store.manifest("pool")
    path.write_bytes(path.read_bytes()[:-40])
    base = teacher.get(copied)
    assert f"{path} is not a manifest" in refusal(lambda: pool.get(copied, base))


def test_a_checkpoint_of_another_pool_is_not_taken_up(copied, made):
    """A finished checkpoint of the same architecture and seed, from other surrogates."""
    silent = replace(made.pool, result=replace(made.pool.result, digest="f" * 16))
    name = finetune.job_name(copied, JOB)
    copied.store.manifest(name).unlink()
    copied.store.weights(name).unlink()
    for module in silent.surrogates.values():
        assert not module.training
    halved = {
        key: distill.surrogate_stage(RESTORMER.stage(key[0]), key[1], copied.shape)
        for key in RESTORMER.surrogates
    }
    found = finetune.get(copied, made.teacher, replace(silent, surrogates=halved), JOB)
    assert found.result.digest != made.finetuned.result.digest
    manifest = json.loads(copied.store.manifest(name).read_text())
    assert manifest["identity"]["pool"] == "f" * 16


# ---------------------------------------------------------------- where files are


def test_committed_results_are_read_and_new_ones_written_elsewhere(made, tmp_path):
    committed = made.ctx.store.root
    before = files(committed)
    ctx = context_in(tmp_path, fallback=committed)
    base = teacher.get(ctx)
    parts = pool.get(ctx, base)
    assert base.result == made.teacher.result
    assert files(tmp_path) == {}
    run = search.get(ctx, base, parts, sampler="random", n_trials=3)
    assert run.psnr[:2] == made.search.psnr[:2]
    assert files(committed) == before
    assert {Path(name).name for name in files(tmp_path)} == {
        "evaluations.jsonl",
        "search-random-3-blocks-s0.json",
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("Mini", "denoise"), "profile is 'Mini'; expected one of smoke, mini, small, paper"),
        (("mini", "dehaze"), "task is 'dehaze'; expected one of denoise"),
        ((3, "denoise"), "profile is 3"),
        (("mini", None), "task is None"),
    ],
)
def test_an_unknown_profile_or_task_is_refused_with_the_allowed_names(arguments, expected):
    assert expected in refusal(lambda: context.open_context(*arguments))


def test_out_must_be_a_path():
    message = refusal(lambda: context.open_context("smoke", "denoise", 3), TypeError)  # type: ignore
    assert "out is 3" in message


@pytest.mark.parametrize("seed", [-1, 1.0, "0", True, None])
def test_a_seed_that_is_no_natural_number_is_refused(seed):
    assert f"seed is {seed!r}; expected an integer >= 0" in refusal(
        lambda: context.checked_seed(seed)
    )


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_a_natural_number_is_a_seed(seed):
    assert context.checked_seed(seed) == seed


def test_a_stage_is_opposed_if_the_smaller_error_always_costs_more():
    rows = [
        {"stage": stage, "relative_error": error, "psnr_drop": drop}
        for stage, error, drop in (
            *(("encoder_1", 0.1, 0.5), ("encoder_1", 0.2, 0.6), ("encoder_3", 0.43, 0.035)),
            *(("encoder_3", 0.37, 0.054), ("encoder_3", 0.40, 0.048), ("bottleneck", 0.2, 0.0)),
            *(("decoder_2", 0.1, 0.3), ("decoder_2", 0.2, 0.1), ("decoder_2", 0.3, 0.2)),
        )
    ]
    assert pool.opposed(rows) == ["encoder_3"]
