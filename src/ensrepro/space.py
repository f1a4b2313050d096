"""The search spaces: stages, their choices, architectures and their penalty (section 3.4).

A *choice* says what fills a stage: 0 is the teacher's own blocks, i > 0 the surrogate with
`depths[i - 1]` state-space blocks (largest first). An *architecture* is one choice per stage.
Stages are pure: a stage never mixes teacher and surrogate blocks (assumption A1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from operator import index as as_integer

TEACHER = 0  # the choice that keeps the teacher's blocks

Architecture = tuple[int, ...]

SHORT = {"bottleneck": "bt", "refinement": "rf"}  # of the others the first letter and the number
PENALTY_DECIMALS = 9  # equal sums of 0.4 differ in the last bit, which would make two of one


def integer(what: str, value: object) -> int:
    """The value as an int, from any library's integer type; a ValueError names `what` it is."""
    try:
        # a truth value has __index__ too, but is no number of anything
        if not isinstance(value, bool):
            return as_integer(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise ValueError(f"{what} {value!r} is not an integer")


@dataclass(frozen=True)
class Stage:
    """One position of the U-Net.

    `level` counts halvings of the resolution; it is `width_factor` times as wide as the stem.
    """

    name: str
    n_blocks: int
    heads: int
    level: int
    width_factor: int
    depths: tuple[int, ...]

    @property
    def short(self) -> str:
        """Two letters, as above the labels of a table."""
        return SHORT.get(self.name, f"{self.name[0]}{self.name[-1]}")

    @property
    def n_choices(self) -> int:
        return 1 + len(self.depths)

    def check(self, choice: int) -> int:
        """The choice as an int; a ValueError says what is wrong with it."""
        value = integer(f"{self.name}: choice", choice)
        if not 0 <= value < self.n_choices:
            raise ValueError(f"{self.name}: choice {value} is not in 0..{self.n_choices - 1}")
        return value

    def depth(self, choice: int) -> int:
        """Number of blocks that `choice` puts into this stage."""
        return self.n_blocks if self.check(choice) == TEACHER else self.depths[choice - 1]


@dataclass(frozen=True)
class Space:
    """All architectures over a sequence of stages, numbered 0 .. n_architectures - 1."""

    name: str
    stages: tuple[Stage, ...]

    @property
    def heading(self) -> str:
        """What stands above a column of labels: `e1 e2 e3 bt d3 d2 d1 rf`."""
        return " ".join(stage.short for stage in self.stages)

    @property
    def n_choices(self) -> tuple[int, ...]:
        return tuple(stage.n_choices for stage in self.stages)

    @property
    def n_architectures(self) -> int:
        return prod(self.n_choices)

    @property
    def n_surrogates(self) -> int:
        return sum(len(stage.depths) for stage in self.stages)

    @property
    def surrogates(self) -> tuple[tuple[str, int], ...]:
        """(stage name, depth) of every surrogate, in stage order, deepest first."""
        return tuple((stage.name, depth) for stage in self.stages for depth in stage.depths)

    @property
    def teacher(self) -> Architecture:
        """The teacher itself."""
        return (TEACHER,) * len(self.stages)

    @property
    def all_ssm(self) -> Architecture:
        """Every stage replaced by its deepest surrogate."""
        return (1,) * len(self.stages)

    @property
    def cheapest(self) -> Architecture:
        """Every stage replaced by its shallowest surrogate."""
        return tuple(stage.n_choices - 1 for stage in self.stages)

    def stage(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise ValueError(
            f"stage is {name!r}; expected one of {', '.join(s.name for s in self.stages)}"
        )

    def check(self, architecture: Sequence[int]) -> Architecture:
        """The architecture as a tuple of int; a ValueError says what is wrong with it."""
        try:
            values = tuple(architecture)
        except TypeError:
            raise ValueError(
                f"architecture is {architecture!r}; expected {len(self.stages)} choices"
            ) from None
        if len(values) != len(self.stages):
            raise ValueError(
                f"architecture has {len(values)} choices; {self.name} has {len(self.stages)} stages"
            )
        return tuple(stage.check(choice) for stage, choice in zip(self.stages, values, strict=True))

    def index(self, architecture: Sequence[int]) -> int:
        """Mixed-radix number of an architecture; the last stage varies fastest."""
        number = 0
        for choice, n in zip(self.check(architecture), self.n_choices, strict=True):
            number = number * n + choice
        return number

    def architecture(self, index: int) -> Architecture:
        """The architecture of a number; the inverse of `index`."""
        rest = integer("index", index)
        if not 0 <= rest < self.n_architectures:
            raise ValueError(f"index is {rest}; expected 0..{self.n_architectures - 1}")
        choices = []
        for n in reversed(self.n_choices):
            rest, choice = divmod(rest, n)
            choices.append(choice)
        return tuple(reversed(choices))

    def __iter__(self) -> Iterator[Architecture]:
        return (self.architecture(i) for i in range(self.n_architectures))

    def swapped(self, stage: str, choice: int) -> Architecture:
        """The teacher with one stage replaced."""
        swapped = self.stage(stage)
        return self.check([choice if s is swapped else TEACHER for s in self.stages])

    def label(self, architecture: Sequence[int]) -> str:
        """Stage by stage: T for the teacher, else the surrogate's depth, e.g. `T 4 2 8 T T 4 2`."""
        return " ".join(
            "T" if choice == TEACHER else str(stage.depth(choice))
            for stage, choice in zip(self.stages, self.check(architecture), strict=True)
        )

    def labeled(self, label: str) -> Architecture:
        """The architecture of a label; the inverse of `label`."""
        words = label.split()
        if len(words) != len(self.stages):
            raise ValueError(f"label is {label!r}; expected {len(self.stages)} words, one a stage")
        choices = []
        for stage, word in zip(self.stages, words, strict=True):
            known = ["T", *map(str, stage.depths)]
            if word not in known:
                raise ValueError(f"{stage.name}: {word!r} is not one of {', '.join(known)}")
            choices.append(known.index(word))
        return tuple(choices)


RESTORMER = Space(
    "restormer",
    (  # assumption A17: the one reading that gives 22 surrogates
        Stage("encoder_1", 4, 1, 0, 1, (4, 2)),
        Stage("encoder_2", 6, 2, 1, 2, (6, 4, 2)),
        Stage("encoder_3", 6, 4, 2, 4, (6, 4, 2)),
        Stage("bottleneck", 8, 8, 3, 8, (8, 6, 4, 2)),
        Stage("decoder_3", 6, 4, 2, 4, (6, 4, 2)),
        Stage("decoder_2", 6, 2, 1, 2, (6, 4, 2)),
        # assumption A18: level 1 keeps the concatenation's width, so both stages are twice the stem
        Stage("decoder_1", 4, 1, 0, 2, (4, 2)),
        Stage("refinement", 4, 1, 0, 2, (4, 2)),
    ),
)

# name, heads, level, width as a multiple of the stem's: the same for Uformer T, S and B
UFORMER_POSITIONS = (
    ("encoder_1", 1, 0, 1),
    ("encoder_2", 2, 1, 2),
    ("encoder_3", 4, 2, 4),
    ("encoder_4", 8, 3, 8),
    ("bottleneck", 16, 4, 16),
    ("decoder_4", 16, 3, 16),
    ("decoder_3", 8, 2, 8),
    ("decoder_2", 4, 1, 4),
    ("decoder_1", 2, 0, 2),
)


def uformer_space(n_blocks: Sequence[int]) -> Space:
    """The nine stages of a Uformer with these numbers of blocks.

    A stage of n blocks may become n, n - 2, n - 4 ... state-space blocks, as in Restormer's space.
    """
    if len(n_blocks) != len(UFORMER_POSITIONS) or min(n_blocks) < 1:
        raise ValueError(
            f"n_blocks is {tuple(n_blocks)}; expected {len(UFORMER_POSITIONS)} numbers, each at "
            "least 1"
        )
    return Space(
        "uformer",
        tuple(
            Stage(name, n, heads, level, factor, tuple(range(n, 0, -2)))
            for n, (name, heads, level, factor) in zip(n_blocks, UFORMER_POSITIONS, strict=True)
        ),
    )


UFORMER = uformer_space((1, 2, 8, 8, 2, 8, 8, 2, 1))  # assumption A34: Uformer-B


@dataclass(frozen=True)
class PenaltyTable:
    """Penalty of a choice: blocks times the weight of their kind, or its rank if `by_rank`."""

    what: str
    teacher_block: float = 1.0
    surrogate_block: float = 0.0
    by_rank: bool = False


# assumption A4: the paper gives the order (teacher > large > small surrogate), not the values
PENALTY_TABLES = {
    "blocks": PenaltyTable("1 per teacher block, 0.4 per surrogate block", surrogate_block=0.4),
    "rank": PenaltyTable("rank of the choice within its stage, 0 for the smallest", by_rank=True),
    "transformers": PenaltyTable("number of teacher blocks"),
}


def choice_penalty(stage: Stage, choice: int, table: str = "blocks") -> float:
    """Penalty of one choice of one stage (no unit; lower is cheaper)."""
    if table not in PENALTY_TABLES:
        raise ValueError(f"penalty table is {table!r}; expected one of {', '.join(PENALTY_TABLES)}")
    rule = PENALTY_TABLES[table]
    if rule.by_rank:
        return float(stage.n_choices - 1 - stage.check(choice))
    weight = rule.teacher_block if choice == TEACHER else rule.surrogate_block
    return stage.depth(choice) * weight


def penalty(architecture: Sequence[int], table: str = "blocks", space: Space = RESTORMER) -> float:
    """Penalty of an architecture: the sum over its stages (equation 1); assumption A26."""
    choices = space.check(architecture)
    parts = (
        choice_penalty(stage, choice, table)
        for stage, choice in zip(space.stages, choices, strict=True)
    )
    return round(sum(parts), PENALTY_DECIMALS)


def penalty_saved(
    architecture: Sequence[int],
    stages: Collection[str],
    table: str = "blocks",
    space: Space = RESTORMER,
) -> float:
    """Share of the teacher's penalty, 0 to 1, that an architecture saves in the named stages."""
    saved = sum(
        choice_penalty(stage, TEACHER, table) - choice_penalty(stage, choice, table)
        for stage, choice in zip(space.stages, space.check(architecture), strict=True)
        if stage.name in stages
    )
    return saved / penalty(space.teacher, table, space)


def sampled(space: Space, n: int, seed: int) -> list[int]:
    """Numbers of `n` different random architectures; more begin with the same ones."""
    import numpy as np  # which a misspelt name need not wait for

    order = np.random.default_rng(seed).permutation(space.n_architectures)
    return [int(number) for number in order[:n]]
