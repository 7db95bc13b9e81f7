"""One thread a process: the problems are small, and `-n 2` gives every core a process of its own."""

import os

for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")  # read when NumPy and torch are loaded, here and in children
