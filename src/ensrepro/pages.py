"""Notebooks as results: the command that runs one, and the manifest that its last run left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ensrepro import artifacts, config
from ensrepro.artifacts import Store
from ensrepro.config import DEFAULT_PAIR

NOTEBOOK = ".manifest.json"  # how the name of a notebook's manifest ends
KEYS = {"notebook", "parameters", "finished", "provenance", "headline"}


def command(notebook: str, task: str, profile: str, pair: str = DEFAULT_PAIR) -> str:
    """What runs a notebook."""
    asked = "" if pair == DEFAULT_PAIR else f" --pair {pair}"
    return f"python -m ensrepro run {notebook} --task {task} --profile {profile}{asked}"


def read(path: Path) -> dict[str, Any]:
    """The manifest of a notebook; a ValueError names a file that is none."""
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=artifacts.refused)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a manifest: {error}") from None
    if not isinstance(content, dict) or set(content) != KEYS:
        raise ValueError(f"{path} is not a manifest: expected the keys {sorted(KEYS)}")
    return content


def is_of(parameters: dict[str, Any], store: Store) -> bool:
    """Whether a notebook was run on the profile, the task and the pair of a store.

    The first pair's may not say which it is of.
    """
    pair = config.PAIRS.get(parameters.get("pair", DEFAULT_PAIR))
    place = parameters.get("profile"), parameters.get("task"), pair and pair.suffix
    return place == (store.profile, store.task, store.suffix)


def manifest(store: Store, notebook: str) -> Path:
    """The manifest of the notebook's last run; if there is none, where the committed one would be.

    With a folder `out` page and manifest lie in it itself, of whatever was run last.
    """
    name = f"{notebook}{NOTEBOOK}"
    if store.fallback is not None:
        beside = store.root / name
        if beside.exists() and is_of(read(beside)["parameters"], store):
            return beside
    return store.found(artifacts.RESULTS, name)
