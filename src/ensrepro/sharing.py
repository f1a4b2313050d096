"""One search on many machines: what the commands `search` and `work` do (section 3.4)."""

from __future__ import annotations

from contextlib import ExitStack

from ensrepro.config import DEFAULT_PAIR
from ensrepro.ledger import Objective
from ensrepro.pipeline import start
from ensrepro.queue import Queue
from ensrepro.samplers import DEFAULT
from ensrepro.steps import search
from ensrepro.steps.search import SearchSummary


def coordinate(
    storage: str,
    *,
    task: str,
    profile: str,
    pair: str = DEFAULT_PAIR,
    out: str = "",
    sampler: str = DEFAULT,
    n_trials: int | None = None,
    seed: int = 0,
) -> SearchSummary:
    """Coordinate a search whose architectures `work` helps to measure; the table is not asked."""
    asked = {"task": task, "profile": profile, "pair": pair, "out": out}
    run = start("search", **asked, seed=seed, sampler=sampler)
    ctx, pool, teacher = run.ctx, run.pool, run.teacher
    opened: list[Queue] = []
    with ExitStack() as stack:

        def share(name: str) -> Objective:
            key = search.key(ctx, teacher, pool)
            shared = stack.enter_context(Queue(storage, name, key, ctx.space))
            opened.append(shared)
            asked = shared.objective(search.objective(ctx, teacher, pool))
            print(f"{name} may be joined: python -m ensrepro work {name} --storage ...", flush=True)
            return asked

        found = search.get(
            ctx,
            teacher,
            pool,
            sampler=sampler,
            n_trials=n_trials,
            seed=seed,
            share=share,
            progress=run.terminal,
        )
        for shared in opened:
            shared.finish()  # an interrupted search goes on later, so its workers wait
        if not opened:
            print("this search is on file; there is nothing to share", flush=True)
        return found


def work(
    storage: str,
    name: str,
    *,
    task: str,
    profile: str,
    idle_seconds: float,
    pair: str = DEFAULT_PAIR,
    out: str = "",
) -> int:
    """Measure what the search `name` asks for; returns how many architectures that were."""
    run = start("work", task=task, profile=profile, pair=pair, out=out)
    ctx, pool, teacher = run.ctx, run.pool, run.teacher
    with Queue(storage, name, search.key(ctx, teacher, pool), ctx.space) as shared:
        return shared.work(search.objective(ctx, teacher, pool), idle_seconds=idle_seconds)
