"""Figures: pure functions from data to a matplotlib `Figure`, one module per part of the method.

Use them as `from ensrepro import figures` and `figures.search.front(...)`; `figures.style.show`
puts one onto the page. Nothing here imports torch.
"""

from __future__ import annotations

from ensrepro.figures import (
    distillation,
    landscape,
    latency,
    profiling,
    receptive,
    restoration,
    search,
    study,
    style,
)

__all__ = [
    "distillation",
    "landscape",
    "latency",
    "profiling",
    "receptive",
    "restoration",
    "search",
    "study",
    "style",
]
