"""How long, on what and at which rate something is trained, and on what it is judged.

`Phase`, `Schedule`, `Distillation` and `Evaluation` are parts of a `config.Profile`; the `fitted`
forms are for networks whose images have sides that are multiples of some number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


def rounded_up(n: int, multiple: int) -> int:
    """The least multiple that is not below `n`."""
    return -(-n // multiple) * multiple


@dataclass(frozen=True)
class Phase:
    """`steps` updates on batches of `batch` square patches of `patch` pixels a side."""

    steps: int
    batch: int
    patch: int

    def fitted(self, multiple: int) -> Phase:
        """Patches whose side is a multiple, and no more pixels a step, but at least one patch."""
        side = rounded_up(self.patch, multiple)
        return replace(self, batch=max(1, self.batch * self.patch**2 // side**2), patch=side)


@dataclass(frozen=True)
class Schedule:
    """Progressive training: phases in order, AdamW, L1, one cosine from `lr` down to `lr_min`.

    The rate is constant for the first `hold` (a fraction of all steps), after a linear `warmup`
    of that many steps; gradients are clipped to the L2 norm `clip`.
    """

    phases: tuple[Phase, ...]
    lr: float
    lr_min: float = 1e-6
    hold: float = 0.0
    warmup: int = 0
    clip: float = 0.01
    weight_decay: float = 1e-4
    checkpoint_every: int = 100

    @property
    def n_steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def fitted(self, multiple: int) -> Schedule:
        """Every phase fitted; steps and rates stay."""
        return replace(self, phases=tuple(phase.fitted(multiple) for phase in self.phases))

    def phase_at(self, step: int) -> Phase:
        """The phase that the 0-based `step` falls into."""
        start = 0
        for phase in self.phases:
            if start <= step < start + phase.steps:
                return phase
            start += phase.steps
        raise ValueError(f"step is {step}; expected 0..{self.n_steps - 1}, the schedule's steps")


@dataclass(frozen=True)
class Distillation:
    """How surrogates are trained, each on its own (assumptions A2, A3, A5).

    The teacher is run once over `n_patches` patches of `patch` pixels a side; every step draws from
    the cached inputs and outputs of one stage. Stages at full resolution get the longer schedule.
    """

    n_patches: int
    patch: int
    schedule: Schedule
    full_resolution: Schedule

    def fitted(self, multiple: int) -> Distillation:
        """Patches whose side is a multiple, in the cache and in both schedules."""
        cached = Phase(1, self.n_patches, self.patch).fitted(multiple)
        schedules = self.schedule.fitted(multiple), self.full_resolution.fitted(multiple)
        return Distillation(cached.batch, cached.patch, *schedules)


@dataclass(frozen=True)
class Evaluation:
    """Fixed images: `n_validation` crops for search and selection, `n_test` photos for judging.

    Sizes are sides of squares in pixels; `test_size` None takes the photos whole.
    """

    n_validation: int
    validation_size: int
    n_test: int
    test_size: int | None
