"""What fewer bits cost and save: float16 and 8-bit integers beside float32, in onnxruntime.

PSNR is that of the trained networks on the test photos, latency that of the same architectures at
the paper's width with random weights, in alternation. Taken from the manifest, or measured now
(some minutes).
"""

from __future__ import annotations

import argparse

from ensrepro.restoring import precision
from ensrepro.tables import Column, markdown

FORMS = {"mib": ".1f", **dict.fromkeys(("change", "lowest"), "+.3f")}
FORMS |= dict.fromkeys(("ratio", "low", "high"), ".2f")


def main() -> None:
    """Print a row for every network and form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="denoise")
    parser.add_argument("--profile", default="mini")
    arguments = parser.parse_args()
    found = precision.get(arguments.task, arguments.profile, may_compute=True)
    print(", ".join(f"{name} {value}" for name, value in found.conditions.items()))
    columns = [Column(name, name, FORMS.get(name, "s")) for name in found.rows[0]]
    print(markdown(found.rows, columns), flush=True)


if __name__ == "__main__":
    main()
