"""What all tests share: one thread, a browser, and no failure because the machine is busy."""

import os
from collections.abc import Iterator

import pytest
from chromium import Browser
from hypothesis import HealthCheck, settings

# The networks here are too small to gain from more threads; read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch on one thread, whatever the environment says: sums depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium for the pages of one test file."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
