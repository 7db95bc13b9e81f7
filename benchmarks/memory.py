"""Memory of this process, and of one fit in a fresh one.

python -m benchmarks.memory PIXELS CHANNELS K   prints the bytes of the data, and of the peak above
what was there after the import, as JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident() -> int | None:
    """Bytes in use now; None where there is no /proc."""
    return _status("VmRSS")


def peak() -> int | None:
    """Most bytes that were in use since the last `reset`, else since this program was started.

    Not `ru_maxrss`: a child is born with its parent's.
    """
    return _status("VmHWM")


def reset() -> bool:
    """Let the peak begin anew; False where the system refuses."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def tidy() -> None:
    """Hand back what is free, so that `resident` is what is in use."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


def _status(key: str) -> int | None:
    if not STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return 1024 * int(lines[key].split()[0])


def main(argv: list[str]) -> None:
    """Make the data here, fit them once, print both sizes."""
    import fusion as fu
    from benchmarks.generators import nmf
    from fusion.losses import Frobenius
    from fusion.models import NMF

    pixels, channels, K = (int(arg) for arg in argv)
    before = resident()
    X = nmf(pixels, channels, K, seed=0).X
    tidy()
    reset()  # what the generator needed beside the data is not the fit's
    data = fu.Dataset("data", X)
    fu.fit(NMF(data, K), 1.0 * Frobenius(data), starts=1, progress=False)
    above = None if before is None else (peak() or 0) - before
    print(json.dumps({"data": X.nbytes, "peak": above}))


if __name__ == "__main__":
    main(sys.argv[1:])
