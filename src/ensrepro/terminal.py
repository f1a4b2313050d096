"""What a person at the terminal sees of a long run: progress, and what is about to be trained.

On a terminal progress is one line that rewrites itself, in a file a line from time to time. It goes
to the terminal of the process even where a notebook collects what is printed: nothing of it enters
a page.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]  # (what, done, of)
FILE_SECONDS = 45.0  # between two lines where they cannot be rewritten
REPEAT_SECONDS = 15.0  # between two reports of a step whose parts take minutes
ERASE = "\x1b[K"  # what stands right of the cursor: the rest of a longer line
SHOWN_SECONDS = 60.0  # a step that is younger does not say how long it has taken


def duration(seconds: float) -> str:
    """A length of time as a person would say it: 40 s, 7 min, 2 h 5 min."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class Terminal:
    """Progress of one run; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}  # step -> when it began, and with how much
        self._written: dict[str, float] = {}  # step -> when its last line was written

    def _times(self, what: str, done: int, of: int) -> str:
        """How long the step has taken, and how long it will take if it goes on like that."""
        begun, before = self._begun.setdefault(what, (self._clock(), done))
        passed = self._clock() - begun
        if passed < SHOWN_SECONDS:
            return ""
        left = passed / (done - before) * (of - done) if before < done < of else 0
        return f", {duration(passed)}" + (f", {duration(left)} to go" if left else "")

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show that `done` of the step's `of` parts are done."""
        stream, is_last = sys.__stderr__, done >= of
        if stream is None:
            return
        text = f"{what}: {done}/{of}{self._times(what, done, of)}"
        if stream.isatty():
            stream.write(f"\r{text}{ERASE}" + "\n" * is_last)
        else:
            since = self._clock() - self._written.get(what, -math.inf)
            if not is_last and since < FILE_SECONDS:
                return
            stream.write(f"{text}\n")
            self._written[what] = self._clock()
        if is_last:
            self._begun.pop(what, None)
        stream.flush()

    def say(self, sentence: str) -> None:
        """A line of its own on the terminal, and where a notebook shows errors if that is one."""
        for stream in dict.fromkeys((sys.__stderr__, sys.stderr)):
            if stream is not None:
                stream.write(f"\r{sentence}{ERASE}\n" if stream.isatty() else f"{sentence}\n")
                stream.flush()


@contextmanager
def repeating(progress: Progress | None, what: str, of: int) -> Iterator[Callable[[int], None]]:
    """Reports how much of a step is done, and again from time to time until there is more.

    For a step whose parts take minutes each: whoever watches sees that it lives.
    """
    if progress is None:
        yield lambda _done: None
        return
    done, over, turn = 0, threading.Event(), threading.Lock()

    def report(n: int) -> None:
        nonlocal done
        with turn:
            done = n
            progress(what, done, of)

    def repeat() -> None:
        while not over.wait(REPEAT_SECONDS):
            with turn:
                if done < of:
                    progress(what, done, of)

    thread = threading.Thread(target=repeat, name=f"{what} (repeat)", daemon=True)
    report(0)
    thread.start()
    try:
        yield report
    finally:
        over.set()
        thread.join()
