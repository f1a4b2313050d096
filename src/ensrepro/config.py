"""Frozen values that say what is run and at which scale: `Profile`, `Task`, `Pair`.

One code path serves every profile; nothing but these values changes between scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from ensrepro.schedules import Distillation, Evaluation, Phase, Schedule, rounded_up
from ensrepro.space import RESTORMER, UFORMER, Space

Named = TypeVar("Named")


@dataclass(frozen=True)
class MambaIRShape:
    """Widths of a MambaIR block.

    The inner width is int(expand * C) rounded up to a multiple of `inner_multiple`; 16 keeps the
    CPU kernel's vectors full. `d_state` is N, the length of the state.
    """

    expand: float = 1.5
    d_state: int = 16
    inner_multiple: int = 1

    def inner_width(self, channels: int) -> int:
        return rounded_up(int(self.expand * channels), self.inner_multiple)


@dataclass(frozen=True)
class Profile:
    """The scale of a run; `price` says what it costs and where it runs.

    Without `has_data` it is meant for images that are not read here: nothing can be run. A profile
    too small to measure every architecture reads the table of the profile `table_of`.
    """

    name: str
    price: str
    width: int
    mambair: MambaIRShape
    pretraining: Schedule | None
    teacher: Schedule
    distillation: Distillation
    finetune: Schedule
    evaluation: Evaluation
    n_trials: int
    n_candidates: int
    n_seeds: int
    max_processes: int
    has_data: bool = True
    table_of: str = ""

    def fitted(self, multiple: int) -> Profile:
        """The profile for networks whose images have sides that are multiples of this.

        Patches and validation crops grow as far as they must, batches and caches shrink as their
        areas grow (assumption A35). Steps and rates stay, and test photos: restoring pads them.
        """
        size = rounded_up(self.evaluation.validation_size, multiple)
        return replace(
            self,
            pretraining=self.pretraining and self.pretraining.fitted(multiple),
            teacher=self.teacher.fitted(multiple),
            distillation=self.distillation.fitted(multiple),
            finetune=self.finetune.fitted(multiple),
            evaluation=replace(self.evaluation, validation_size=size),
        )


@dataclass(frozen=True)
class Task:
    """What is restored: input channels, LayerNorm of the teacher, metric protocol.

    Where the profile has a schedule for a first training, the teacher starts from it: one on the
    degradation `first_learns`, or else the teacher of the task `starts_from` (assumption A27).
    Six input channels are the left and the right view of a dual-pixel sensor.
    """

    name: str
    what: str
    in_channels: int
    norm: str
    protocol: str
    first_learns: str = ""
    starts_from: str = ""


@dataclass(frozen=True)
class Pair:
    """An expressive family and the efficient one that stands in for its stages.

    Images have sides that are multiples of `multiple`, stems at most `widest` channels, the width
    of the released networks. Files are in folders called task + `suffix`, those of the teacher in
    the folders of the pair `teacher_of` if it is named: the two share one teacher.
    """

    name: str
    expressive: str
    efficient: str
    space: Space
    multiple: int
    widest: int
    suffix: str
    teacher_of: str = ""


SMOKE_SCHEDULE = Schedule((Phase(3, 2, 32),), lr=1e-3, clip=0.05, checkpoint_every=2)

SMOKE = Profile(
    name="smoke",
    price="seconds a notebook on one CPU core; its numbers mean nothing",
    width=8,
    mambair=MambaIRShape(expand=1.0, d_state=4, inner_multiple=16),
    pretraining=SMOKE_SCHEDULE,
    teacher=SMOKE_SCHEDULE,
    distillation=Distillation(4, 32, SMOKE_SCHEDULE, SMOKE_SCHEDULE),
    finetune=SMOKE_SCHEDULE,
    evaluation=Evaluation(n_validation=2, validation_size=32, n_test=1, test_size=32),
    n_trials=6,
    n_candidates=2,
    n_seeds=1,
    max_processes=1,
    table_of="mini",
)

# assumption A28: Restormer's recipe with everything shortened
MINI = Profile(
    name="mini",
    price="two CPU cores: minutes from the committed weights, hours from nothing",
    width=8,
    # assumption A6: the inner width is 16 at 8 and 16 channels, else the stage's own width
    mambair=MambaIRShape(expand=1.0, d_state=4, inner_multiple=16),
    pretraining=Schedule(
        (Phase(3200, 4, 64), Phase(800, 2, 96)), lr=1.2e-3, hold=0.3, warmup=50, clip=0.05
    ),
    teacher=Schedule(
        (Phase(1600, 4, 64), Phase(800, 2, 96)), lr=8e-4, hold=0.3, warmup=50, clip=0.05
    ),
    distillation=Distillation(
        n_patches=256,
        patch=64,
        schedule=Schedule((Phase(400, 4, 64),), lr=3e-3, warmup=20, clip=1.0),
        full_resolution=Schedule((Phase(600, 4, 64),), lr=3e-3, warmup=20, clip=1.0),
    ),
    finetune=Schedule((Phase(270, 4, 64), Phase(80, 2, 96)), lr=3e-4, warmup=20, clip=0.05),
    evaluation=Evaluation(n_validation=8, validation_size=96, n_test=4, test_size=None),
    n_trials=500,
    n_candidates=5,
    n_seeds=3,
    max_processes=8,
)

SMALL = Profile(
    name="small",
    price="meant for a GPU, never run so far: this edition trains on the CPU only",
    width=16,
    mambair=MambaIRShape(expand=1.0, d_state=8, inner_multiple=16),
    pretraining=Schedule((Phase(4000, 16, 64),), lr=8e-4, hold=0.3, warmup=100, clip=0.05),
    teacher=Schedule(
        (Phase(4000, 16, 64), Phase(2000, 8, 128)), lr=8e-4, hold=0.3, warmup=100, clip=0.05
    ),
    distillation=Distillation(
        n_patches=1024,
        patch=64,
        schedule=Schedule((Phase(800, 16, 64),), lr=2e-3, warmup=20, clip=1.0),
        full_resolution=Schedule((Phase(1200, 16, 64),), lr=2e-3, warmup=20, clip=1.0),
    ),
    finetune=Schedule((Phase(1000, 16, 64), Phase(500, 8, 128)), lr=4e-4, warmup=50, clip=0.05),
    evaluation=Evaluation(n_validation=16, validation_size=96, n_test=4, test_size=None),
    n_trials=500,
    n_candidates=5,
    n_seeds=3,
    max_processes=4,
)

# Restormer's published recipe: 300,000 steps, batches of 8 GPUs together, 92,000 at one rate
RESTORMER_PHASES = (
    Phase(92_000, 64, 128),
    Phase(64_000, 40, 160),
    Phase(48_000, 32, 192),
    Phase(36_000, 16, 256),
    Phase(36_000, 8, 320),
    Phase(24_000, 8, 384),
)
RESTORMER_SCHEDULE = Schedule(
    RESTORMER_PHASES, lr=3e-4, hold=92_000 / 300_000, clip=0.01, checkpoint_every=4000
)

PAPER = Profile(
    name="paper",
    price="the paper's own scale; needs data sets that you fetch, and is not trained here",
    width=48,
    mambair=MambaIRShape(expand=1.5, d_state=16),
    pretraining=None,
    teacher=RESTORMER_SCHEDULE,
    # assumption A19: the paper gives no schedule for its surrogates
    distillation=Distillation(
        n_patches=4096,
        patch=128,
        schedule=Schedule((Phase(10_000, 8, 128),), lr=3e-4, warmup=100),
        full_resolution=Schedule((Phase(10_000, 8, 128),), lr=3e-4, warmup=100),
    ),
    finetune=RESTORMER_SCHEDULE,
    evaluation=Evaluation(n_validation=32, validation_size=256, n_test=1280, test_size=256),
    n_trials=500,
    n_candidates=5,
    n_seeds=1,
    max_processes=1,
    has_data=False,
)

PROFILES = {profile.name: profile for profile in (SMOKE, MINI, SMALL, PAPER)}

DEFAULT_PAIR = "restormer-mambair"  # the paper's own
UFORMER_PAIR = "uformer-mambair"  # that of its table 6
EDGE_PAIR = "restormer-edge"  # ours
CONTROL = "restormer-stateless"  # there to be held against ours; never timed
_EDGE = Pair(*(EDGE_PAIR, "restormer", "edge", RESTORMER, 8, 48, "-edge"), teacher_of=DEFAULT_PAIR)
PAIRS = {
    pair.name: pair
    for pair in (
        Pair(DEFAULT_PAIR, "restormer", "mambair", RESTORMER, 8, 48, ""),
        Pair(UFORMER_PAIR, "uformer", "mambair", UFORMER, 128, 32, "-uformer"),
        _EDGE,
        replace(_EDGE, name=CONTROL, efficient="stateless", suffix="-stateless"),
    )
}

# assumption A33: norms and protocols as in the released networks' own tasks; SIDD's is float
TASKS = {
    task.name: task
    for task in (
        Task(
            name="denoise",
            what="sensor noise of a night shot",
            in_channels=3,
            norm="bias_free",
            protocol="sidd",
            first_learns="white_noise",
        ),
        Task(
            name="derain",
            what="rain: streaks, and a veil of far drops",
            in_channels=3,
            norm="with_bias",
            protocol="derain_y",
            starts_from="denoise",
        ),
        Task(
            name="deblur",
            what="motion blur of a shaking camera",
            in_channels=3,
            norm="with_bias",
            protocol="matlab_rgb",
            starts_from="denoise",
        ),
        Task(
            name="defocus",
            what="defocus of a wide aperture",
            in_channels=3,
            norm="with_bias",
            protocol="dpdd",
            starts_from="deblur",
        ),
        Task(
            name="defocus_dual",
            what="the same, seen by a dual-pixel sensor",
            in_channels=6,
            norm="with_bias",
            protocol="dpdd",
            starts_from="deblur",
        ),
    )
}


def teacher_pair(pair: Pair) -> Pair:
    """The pair whose teacher is this one's too: itself, or the one that it names (A39)."""
    return PAIRS[pair.teacher_of] if pair.teacher_of else pair


def named(kind: str, name: object, table: Mapping[str, Named]) -> Named:
    """The value called `name`; a ValueError lists the allowed names."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{kind} is {name!r}; expected one of {', '.join(table)}")
    return table[name]


def check_data(profile: Profile) -> None:
    """A ValueError if the profile is meant for images that are not read here."""
    if not profile.has_data:
        runnable = ", ".join(name for name, p in PROFILES.items() if p.has_data)
        raise ValueError(
            f"profile is {profile.name!r}, {profile.price}; expected one of {runnable}"
        )
