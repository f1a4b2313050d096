"""Working memory of `evaluate.restore`, in float32 values a pixel and a channel of the stem.

Each row is measured in a process of its own: the peak resident set while a random image is restored
whole, less the peak before, when the network and the image were already there. It bounds
`tiles.VALUES_PER_PIXEL`, from which the side of tiles follows. Linux and macOS.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

from ensrepro.config import PROFILES

ARCHITECTURES = ("teacher", "all_ssm")
WIDTHS = {"mini": (8, 256), "paper": (48, 256)}  # profile: width of its stem, side of the image
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def measure(profile: str, architecture: str, side: int) -> float:
    """Values a pixel and a channel in this very process; it can be measured once."""
    import numpy as np
    import torch

    from ensrepro import evaluate
    from ensrepro.config import TASKS
    from ensrepro.models.hybrid import build, network_shape
    from ensrepro.space import RESTORMER

    torch.manual_seed(0)
    shape = network_shape(PROFILES[profile], TASKS["denoise"])
    net = build(getattr(RESTORMER, architecture), shape).eval()
    evaluate.run_whole(net, np.zeros((64, 64, 3), np.float32))  # compiles, starts libraries
    image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
    before = peak_bytes()
    evaluate.run_whole(net, image)
    return (peak_bytes() - before) / (4 * shape.width * side * side)


def main() -> None:
    """Print one row for every profile's width and architecture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("PROFILE", "ARCHITECTURE", "SIDE"))
    one = parser.parse_args().one
    if one:
        print(measure(one[0], one[1], int(one[2])))
        return
    print("width  architecture  side  values a pixel and channel")
    for profile, (width, side) in WIDTHS.items():
        for architecture in ARCHITECTURES:
            command = [sys.executable, __file__, "--one", profile, architecture, str(side)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(
                f"{width:>5}  {architecture:<12}  {side:>4}  {float(done.stdout):.1f}", flush=True
            )


if __name__ == "__main__":
    main()
