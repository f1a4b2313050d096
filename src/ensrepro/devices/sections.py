"""What a page says of a device before it shows anything: whose it is, how taken, what is missing.

A phone that was imported has whole networks only, a machine measured in a hurry stages only: what
is not there is said in a sentence, with the command that measures it.
"""

from __future__ import annotations

from typing import Any

from ensrepro import artifacts, config, timing
from ensrepro.config import Pair
from ensrepro.devices import shelf, stage_sums, tables
from ensrepro.devices.measuring import slug
from ensrepro.devices.shelf import Shelf
from ensrepro.devices.subjects import BLOCKS, NETWORKS, STAGES
from ensrepro.timing import Conditions


def origin(found: Shelf) -> str:
    """One sentence: whether these records are of this machine."""
    own = slug(artifacts.cpu_model())
    if found.device == own:
        return f"Device: `{own}`, the machine that this notebook ran on."
    return (
        f"Device: `{found.device}`, **not** the machine that this notebook ran on, `{own}`. The "
        f"parameter `device` names another one that is on file; `{shelf.HERE}` measures this one."
    )


def under(conditions: Conditions | None) -> str:
    """Conditions in words, for a caption."""
    if conditions is None:
        return "under unknown conditions"
    of = conditions
    return (
        f"{of.resolution} pixels, {of.dtype}, {of.runtime} {of.version}, threads {of.threads}, "
        f"{of.cpu}"
    )


def noisy_on(found: Shelf, threads: int) -> list[str]:
    """The manifests of so many threads that were taken on a busy machine (`measuring.stem`)."""
    return [name for name in found.noisy if f"-t{threads}-" in name]


def described(found: Shelf, threads: int) -> str:
    """How the records on so many threads were taken; or that there are none."""
    own = [record for record in found.records if record.threads == threads]
    if not own:
        known = sorted({str(record.threads or timing.UNKNOWN) for record in found.records})
        return f"It has nothing on {threads} threads; threads on file: {', '.join(known)}."
    runtimes = sorted({f"{one.runtime} {one.version}, {one.dtype}" for one in own})
    sentences = [
        f"{own[0].device}: {'; '.join(runtimes)}, threads {threads}; {len(own)} records of at "
        f"least {min(record.n for record in own)} runs each."
    ]
    drifts = [record.drift for record in own if record.drift is not None]
    if drifts:
        sentences.append(
            f"The last runs of a series took {min(drifts):.2f} to {max(drifts):.2f} times as long "
            "as its first."
        )
    noisy = ", ".join(noisy_on(found, threads))
    sentences.append(
        f"**The machine was not quiet** for {noisy}: do not quote milliseconds."
        if noisy
        else "No series is marked as taken on a busy machine."
    )
    return " ".join(sentences)


def circumstances(found: Shelf, threads: int) -> dict[str, Any]:
    """What a headline says of the device: its name in words, runtime, threads, noisy manifests."""
    own = [record for record in found.records if record.threads == threads]
    runtimes = sorted({f"{one.runtime} {one.version}" for one in own})
    return {
        "device": found.records[0].device,
        "runtime": "; ".join(runtimes) or timing.UNKNOWN,
        "threads": threads,
        "noisy": noisy_on(found, threads),
    }


def reason(found: Shelf, pair: Pair, threads: int) -> str:
    """Why there is no stage table of a pair; empty if there is one."""
    try:
        stage_sums.stage_table(found, pair, threads)
    except ValueError as error:
        return str(error).partition(";")[0]  # behind it is the command, without the threads
    return ""


def missing(found: Shelf, pair: Pair, threads: int) -> dict[str, str]:
    """For each kind that is measured one sentence if the device lacks it, else nothing."""
    on = f"on {threads} threads"
    blocks, networks = tables.block_rows(found, threads), tables.network_rows(found, threads)
    turns = "that took turns with their teacher"
    lacks = {
        BLOCKS: "" if blocks else f"{found.device} has no single blocks {on}",
        STAGES: reason(found, pair, threads),
        NETWORKS: "" if networks else f"{found.device} has no networks {on} {turns}",
    }
    of = "" if pair.name == config.DEFAULT_PAIR else f" --pair {pair.name}"
    command = f"python -m ensrepro measure --threads {threads}{of} --what"
    return {
        kind: what and f"{what}; `{command} {kind}`, run on it, measures them."
        for kind, what in lacks.items()
    }
