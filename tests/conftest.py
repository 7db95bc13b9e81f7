"""One thread a process: the problems are small, and with `-n 2` every core has its own process."""

import os

for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")  # read when NumPy and torch are loaded, here and in children
