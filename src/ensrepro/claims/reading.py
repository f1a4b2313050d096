"""Entries that a person judged by reading: whoever chose the check chose the status.

They are here so that they can be told from those that numbers decide: the pages say which they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from ensrepro.claims.printed import Check
from ensrepro.claims.records import Given
from ensrepro.claims.results import Finding


def two_passages(given: Given) -> Finding:
    """Two places of the text that exclude each other, as we read them; `passages` names both."""
    if len(given.passages) != 2:
        raise ValueError(f"passages are {given.passages}; expected two that exclude each other")
    one, other = given.passages
    return Finding(False, "two readings", f"{one[0].upper()}{one[1:]}; but {other}.")


def sources_named(given: Given) -> Finding:
    """A remark about other works, which are named so that one can look; `passages`."""
    if not given.passages:
        raise ValueError("passages are empty; expected the works that the remark rests on")
    return Finding(True, "", f"{'; '.join(given.passages)}.")


CHECKS: Mapping[str, Check] = {"two_passages": two_passages, "sources_named": sources_named}
