"""Write requirements/*.txt: the versions installed now of the dependencies in pyproject.toml.

Run it in the environment whose tests have just passed (`make pins`). A package is pinned when some
dependency needs it on a supported system and Python; the CUDA packages that torch's default Linux
wheel brings are torch's own business and stay out, so the same files install on macOS.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
PROJECT = "ensrepro"

# File -> what it is for, the extra of pyproject.toml it serves, and the file it builds on.
FILES = {
    "library.txt": ("the library alone", None, None),
    "book.txt": ("the notebooks and the site", "book", "library.txt"),
    "dev.txt": ("everything that `make test` needs", "dev", "book.txt"),
}
SYSTEMS = (
    {"sys_platform": "linux", "platform_system": "Linux"},
    {"sys_platform": "darwin", "platform_system": "Darwin"},
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
NOT_PINNED = re.compile(r"nvidia-|cuda-|triton$")

# Needed only by another system or Python than the one this runs on: version and marker, all that
# pip chose for it. ipykernel wants appnope on macOS, papermill wants aiohttp on Python 3.12.
ELSEWHERE = {
    "appnope": ("1.0.0", 'sys_platform == "darwin"'),
    "aiohappyeyeballs": ("2.7.1", 'python_version == "3.12"'),
    "aiohttp": ("3.14.5", 'python_version == "3.12"'),
    "aiosignal": ("1.4.0", 'python_version == "3.12"'),
    "frozenlist": ("1.8.0", 'python_version == "3.12"'),
    "multidict": ("7.2.1", 'python_version == "3.12"'),
    "propcache": ("0.5.4", 'python_version == "3.12"'),
    "yarl": ("1.25.1", 'python_version == "3.12"'),
}
# Newer releases that are installable, but not on every Python 3.11.
HELD = {"soupsieve": "2.10"}  # 3.0.2 and later refuse Python 3.11.0 to 3.11.4


def applies(requirement: Requirement, extra: str) -> bool:
    """Whether the requirement holds on any supported system and Python."""
    if requirement.marker is None:
        return True
    return any(
        requirement.marker.evaluate(
            {
                **system,
                "python_version": python,
                "python_full_version": f"{python}.9",
                "extra": extra,
            }
        )
        for system, python in product(SYSTEMS, PYTHONS)
    )


def listed(extra: str | None) -> list[Requirement]:
    """The dependencies in pyproject.toml: the project's own, or those of one extra."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def needs(requirement: Requirement) -> Iterator[Requirement]:
    """What a requirement asks for in its turn, its extras included."""
    if canonicalize_name(requirement.name) == PROJECT:
        for extra in requirement.extras:
            yield from listed(extra)
        return
    if canonicalize_name(requirement.name) in ELSEWHERE:
        return
    for line in metadata.requires(requirement.name) or []:
        child = Requirement(line)
        if any(applies(child, extra) for extra in ("", *requirement.extras)):
            yield child


def closure(requirements: list[Requirement]) -> set[str]:
    """Canonical names of everything that the requirements need, themselves included."""
    found: set[str] = set()
    waiting = list(requirements)
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = f"{name}{sorted(requirement.extras)}"
        if key in seen or NOT_PINNED.match(name):
            continue
        seen.add(key)
        if name != PROJECT:
            found.add(name)
        waiting.extend(needs(requirement))
    return found


def pin(name: str) -> str:
    """One line of a requirements file."""
    if name in ELSEWHERE:
        version, marker = ELSEWHERE[name]
        return f"{name}=={version}; {marker}"
    version = metadata.version(name).partition("+")[0]  # torch calls its CPU build 2.13.0+cpu
    if HELD.get(name, version) != version:
        sys.exit(f"{name} is {version}; requirements/pin.py holds it at {HELD[name]}: install that")
    return f"{name}=={version}"


def main() -> None:
    """Write every file; each lists only what the file it builds on does not."""
    below: set[str] = set()
    for file, (what, extra, base) in FILES.items():
        names = closure(listed(extra)) - below
        if "aiohttp" in names:
            names |= set(ELSEWHERE)
        below |= names
        head = [f"# Tested versions for {what}; written by `make pins`, do not edit."]
        head += [f"-r {base}"] if base else []
        text = "\n".join([*head, *(pin(name) for name in sorted(names))]) + "\n"
        (HERE / file).write_text(text, "utf-8")
        print(f"requirements/{file}: {len(names)} packages")


if __name__ == "__main__":
    main()
