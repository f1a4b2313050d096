"""The most memory that one network takes: the resident set of a process that runs nothing else.

A child process imports the runtime, notes how much memory it has, then reads the file and runs it
on one image. What its resident set grows by at most is the network's: weights, activations, and
what the runtime keeps for the next run. The system itself keeps the record (VmHWM; where there is
none, as on macOS, the largest resident set that the process reports).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import ensrepro
from ensrepro.runtime import inference_session

MIB = 2**20
STATUS = Path("/proc/self/status")
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def high_water_bytes() -> int:
    """The largest resident set of this process so far."""
    if STATUS.exists():
        # Unlike ru_maxrss, it does not begin with what the parent had when this process was forked.
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def grown_bytes(file: str, channels: int, side: int, threads: int) -> int:
    """What this process grows by at most while it runs the file on one image."""
    import numpy as np
    import onnxruntime  # noqa: F401  imported now: it is not the network's memory

    before = high_water_bytes()
    session = inference_session(file, threads)
    image = np.zeros((1, channels, side, side), np.float32)
    session.run(None, {session.get_inputs()[0].name: image})
    return high_water_bytes() - before


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
