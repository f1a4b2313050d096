"""What all tests share: one thread, since the networks here are too small to gain from more."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
