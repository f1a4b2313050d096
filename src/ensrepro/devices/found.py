"""The architectures that were found, chosen and fine-tuned: what is timed whole beside the ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ensrepro.artifacts import Store
from ensrepro.config import PAIRS, PROFILES, TASKS, Pair, Profile, Task
from ensrepro.models.hybrid import network_shape
from ensrepro.steps import chosen
from ensrepro.steps.context import Context


@dataclass(frozen=True)
class Found:
    """An architecture that a search found and fine-tuning chose."""

    pair: str
    task: str
    architecture: str


def takes(profile: Profile, task: Task, pair: Pair) -> bool:
    """Whether networks of the pair take the images of the task."""
    try:
        network_shape(profile, task, pair)
    except ValueError:
        return False
    return True


def contexts(store: Store, pairs: Iterable[Pair]) -> Iterator[Context]:
    """Every task and pair of the store's profile; nothing is computed in them."""
    for pair in pairs:
        profile = PROFILES[store.profile].fitted(pair.multiple)
        for task in TASKS.values():
            if takes(profile, task, pair):
                own = replace(store, task=task.name, suffix=pair.suffix)
                yield Context(profile, task, pair, own, may_compute=False)


def on_file(store: Store, pairs: Iterable[Pair] = tuple(PAIRS.values())) -> list[Found]:
    """What notebooks chose for each task and pair (`steps.chosen`), below the roots of `store`."""
    found = ((ctx, chosen.on_file(ctx)) for ctx in contexts(store, pairs))
    return [
        Found(ctx.pair.name, ctx.task.name, ctx.space.label(one.architecture))
        for ctx, one in found
        if one is not None
    ]
