"""The most memory that one network takes: the resident set of a process that runs nothing else.

A child process imports the runtime, notes how large its resident set is then (VmRSS), and has the
system forget how large it ever was; then it reads the file and runs it on one image. What the
record of the system (VmHWM) lies above the first number is the network's: weights, activations, and
what the runtime keeps for the next run. Where the system tells neither, as macOS, only the largest
resident set ever can be read: what the imports took for a moment and gave back hides as much of
what the network takes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import ensrepro
from ensrepro.runtime import inference_session

MIB = 2**20
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESIDENT, LARGEST = "VmRSS:", "VmHWM:"
FORGET_LARGEST = "5"  # what the kernel wants to read
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def resident_bytes(which: str) -> int:
    """The resident set of this process, RESIDENT or LARGEST; without a record, the largest."""
    if STATUS.exists():
        # Unlike ru_maxrss, it does not begin with what the parent had when this process was forked.
        for line in STATUS.read_text().splitlines():
            if line.startswith(which):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def forget_largest() -> None:
    """From now on the largest resident set is counted anew, where the system can do that."""
    with suppress(OSError):
        FORGET.write_text(FORGET_LARGEST)


def grown_bytes(file: str, channels: int, side: int, threads: int) -> int:
    """What this process grows by at most while it runs the file on one image."""
    import numpy as np
    import onnxruntime  # noqa: F401  imported now: it is not the network's memory

    forget_largest()
    before = resident_bytes(RESIDENT)
    session = inference_session(file, threads)
    image = np.zeros((1, channels, side, side), np.float32)
    session.run(None, {session.get_inputs()[0].name: image})
    return resident_bytes(LARGEST) - before


def peak_mib(content: bytes, channels: int, side: int, threads: int) -> float:
    """Peak memory in MiB of an ONNX file's content on one (1, channels, side, side) image."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(content)
        given = [str(path), str(channels), str(side), str(threads)]
        sources = str(Path(ensrepro.__file__).resolve().parents[1])
        paths = [sources, *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, "-m", "ensrepro.devices.memory", *given],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise OSError(
            f"memory at {side} x {side} pixels was not measured: the process for it ended with "
            f"status {done.returncode}: {last}"
        )
    return float(json.loads(done.stdout)["bytes"]) / MIB


if __name__ == "__main__":
    file, *numbers = sys.argv[1:]
    print(json.dumps({"bytes": grown_bytes(file, *map(int, numbers))}))
