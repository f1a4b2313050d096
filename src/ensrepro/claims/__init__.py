"""A verdict on every claim of the paper, computed from its numbers and from our results.

The ledger, `claims_data/claims.toml`, states in our words what the paper claims and names a check;
`cells.toml` does so for the cells of its tables, `errata.toml` for remarks that no claim holds. A
status follows from the check, and changes when a result arrives. Which check a claim has, and where
it draws its line, a person chose; where that choice is the status, the entry is one of `reading`.

    decided by the paper's own numbers   consistent arithmetic | inconsistent in the paper
    decided by results of this project   reproduced | contradicted | not decided at our scale
    decided by counting                  true by count or definition | contradicted at our scale
    none, or the result is missing       quoted only, with what would decide it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ensrepro import artifacts
from ensrepro.claims import cells, counted, measured, oddities, printed, reading
from ensrepro.claims.belonging import NotMeasuredError
from ensrepro.claims.cells import CellVerdict
from ensrepro.claims.records import QUOTED_ONLY, Claim, Given, Section, Status, sections
from ensrepro.claims.results import Fact, Finding, Sources
from ensrepro.claims.sources import Cell, cell, filled, printed_scalars
from ensrepro.pages import NOTEBOOK

__all__ = ["Cell", "CellVerdict", "Claim", "Given", "Sources", "Status", "Verdict"]

CLAIMS, ERRATA = "claims.toml", "errata.toml"
OF_RESULTS = measured.CHECKS | counted.CHECKS
OF_THE_PAPER = printed.CHECKS | oddities.CHECKS | reading.CHECKS
MEASURED = {True: Status.REPRODUCED, False: Status.CONTRADICTED, None: Status.UNDECIDED}
COUNTED = {True: Status.COUNTED, False: Status.CONTRADICTED}
PRINTED = {True: Status.CONSISTENT, False: Status.INCONSISTENT}
BY_READING = "judged by reading"


@dataclass(frozen=True)
class Verdict:
    """What is known of one claim; `is_pending` if a run of this project would decide it."""

    claim: Claim
    section: str
    status: Status
    text: str
    published: str
    ours: str
    evidence: str
    facts: tuple[Fact, ...] = ()
    is_pending: bool = False

    def __post_init__(self) -> None:
        if not self.evidence.strip():
            raise ValueError(
                f"claim {self.claim.id} has no evidence; expected a manifest's field, the "
                "arithmetic, or what would decide it"
            )

    @property
    def is_read(self) -> bool:
        """Whether a person judged it: the choice of the check was the choice of the status."""
        return self.claim.check in reading.CHECKS

    @property
    def page(self) -> str:
        """The notebook that shows the measurement, empty if there is none."""
        named = self.claim.given.file.removesuffix(NOTEBOOK)
        return self.claim.page or (named if named != self.claim.given.file else "")


@dataclass(frozen=True)
class Covered:
    """One number that the paper prints, and the ids of what decides it."""

    what: str
    printed: str
    by: tuple[str, ...]


def home(profile: str, root: Path | None) -> Sources:
    """The results of a profile in a checkout, by default the one that this package is run from."""
    return Sources(profile, root or artifacts.repository())


def status_of(claim: Claim, finding: Finding) -> Status:
    """What a finding means, which depends on what decided it."""
    meanings = COUNTED if claim.check in counted.CHECKS else PRINTED
    return (MEASURED if claim.check in measured.CHECKS else meanings)[finding.holds]


def findings(claim: Claim, sources: Sources) -> list[Finding]:
    """What each check of the claim finds; a ValueError if there is no such check."""
    made = []
    for name, given in claim.checks:
        if check := OF_RESULTS.get(name):
            made.append(check(given, sources))
        elif of_paper := OF_THE_PAPER.get(name):
            made.append(of_paper(given))
        else:
            raise ValueError(f"claim {claim.id} has the check {name!r}, which there is not")
    return made


def found(claim: Claim, sources: Sources) -> Finding:
    """What the claim's checks find together: it holds if each part of it does."""
    first, *others = made = findings(claim, sources)
    if not others:
        return first
    answers = {one.holds for one in made}
    holds = False if False in answers else (None if None in answers else True)
    facts = tuple(fact for one in made for fact in one.facts)
    return Finding(holds, first.ours, " ".join(one.because for one in made), facts)


def verdict(claim: Claim, section: str, sources: Sources) -> Verdict:
    """The verdict on one claim; a ValueError names a claim that has no evidence."""
    words = [filled(text) for text in (claim.text, claim.published, claim.needs)]
    text, published, needs = words
    if claim.check == QUOTED_ONLY:
        return Verdict(claim, section, Status.QUOTED, text, published, "", needs)
    try:
        finding = found(claim, sources)
    except NotMeasuredError as missing:
        evidence = " ".join(part for part in (f"Not measured yet: {missing}.", needs) if part)
        return Verdict(
            claim, section, Status.QUOTED, text, published, "", evidence, is_pending=True
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"claim {claim.id} cannot be checked: {error}") from error
    evidence = " ".join(part for part in (finding.because, needs) if part)
    status = status_of(claim, finding)
    return Verdict(claim, section, status, text, published, finding.ours, evidence, finding.facts)


def verdicts(
    profile: str = "mini", root: Path | None = None, ledger: Iterable[Section] | None = None
) -> tuple[Verdict, ...]:
    """The verdict on every claim, in the order of the paper."""
    sources = home(profile, root)
    listed = sections(CLAIMS) if ledger is None else ledger
    return tuple(verdict(c, section.title, sources) for section in listed for c in section.claims)


def errata(profile: str = "mini", root: Path | None = None) -> tuple[Verdict, ...]:
    """The remarks of `errata.toml`, each verified; a ValueError names one that is not so."""
    made = verdicts(profile, root, sections(ERRATA))
    for one in made:
        if one.status in (Status.INCONSISTENT, Status.CONTRADICTED):
            raise ValueError(f"erratum {one.claim.id} is not what the numbers say: {one.evidence}")
    return made


def summary(made: Iterable[Verdict]) -> dict[Status, int]:
    """The number of claims of each status, also of those that none has."""
    counts = Counter(one.status for one in made)
    return {status: counts[status] for status in Status}


def coverage() -> tuple[Covered, ...]:
    """Every cell of the paper's tables and every number of `scalars.csv`, and what decides it.

    Which numbers of the running text that file lists was chosen by hand: it is no proof that the
    text has no others. A number that no claim takes up has an empty `by`; cells have one group.
    """
    covered = [
        Covered(f"table {' | '.join(map(str, one.cell))}", cell(one.cell), (one.group,))
        for one in cells.verdicts()
        if one.status is not None
    ]
    listed = [claim for section in sections(CLAIMS) for claim in section.claims]
    for name, text in printed_scalars().items():
        by = tuple(claim.id for claim in listed if name in claim.given.scalars)
        covered.append(Covered(name, text, by))
    return tuple(covered)


def report(profile: str = "mini", root: Path | None = None) -> str:
    """The summary for a terminal: counts, then one line a claim."""
    made = verdicts(profile, root)
    lines = [*(f"{n:4d}  {status}" for status, n in summary(made).items()), ""]
    width = max(len(one.claim.id) for one in made)
    for one in made:
        note = f" ({BY_READING})" if one.is_read else ""
        lines.append(f"{one.claim.id:<{width}}  {one.status}{note}")
    return "\n".join(lines)
