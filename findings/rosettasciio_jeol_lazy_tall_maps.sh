#!/usr/bin/env bash
# RosettaSciIO 0.15.0: read lazily, a JEOL pts map that is taller than wide loses the rows below its width.
#
# The lazy decoder compares rows with the width of the map; the eager one compares them with its height.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "rosettasciio[eds-stream]==0.15.0" "numpy<3"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import logging
import struct
import sys

import numpy as np
from rsciio.jeol import file_reader

logging.disable(logging.CRITICAL)


def entry(key, value=None, *inside):
    kind, raw = 0, b""
    if isinstance(value, str):
        kind, raw = 12, value.encode() + b"\0"
    elif isinstance(value, int):
        kind, raw = 3, struct.pack("<i", value)
    elif value is not None:
        kind, raw = 5, struct.pack("<d", value)
    name = key.encode() + b"\0"
    head = b"\x01" + struct.pack("<i", len(name)) + name + struct.pack("<ii", kind, len(raw))
    return head + raw + b"".join(inside) + b"\xff"


def write(path, rows, columns):
    """One sweep, two X-rays in every pixel."""
    doc = {"CoefA": 0.01, "CoefB": 0.0, "DwellTime(msec)": 1.0, "Sweep": 1, "RealTime": 1.0}
    scan = (entry("ScanSize", 0.1), entry("DirAng", 0.0), entry("DetT", "SDD"))
    scan += (entry("ElevAng", 20.0), entry("MnKaRES", 140.0))
    measured = entry(
        "AnalyzableMap MeasData", None,
        entry("Meas Cond", None, entry("Pixels", f"{columns}x{rows}"), entry("Tpl", "T3")),
        entry("MeasCond", None, entry("Mag", 1e5), entry("AccKV", 200.0)),
        entry("Doc", None, *(entry(k, v) for k, v in doc.items())),
    )
    pages = (entry("PARAMPAGE0", "SEM", *scan),
             entry("PARAMPAGE1", "EDXRF", entry("Tpl", None, entry("T3", None, entry("DigZ", 96)))))
    head = entry("PTTD Data", None, measured) + entry("PTTD Param", None, entry("Params", None, *pages)) + b"\xff"
    stream = []
    for i in range(rows):
        stream.append(0x9000 | i * (4096 // rows))
        for j in range(columns):
            stream += [0x8000 | j * (4096 // columns), 0xB000 | 200, 0xB000 | 210]
    start = struct.pack("<I", 304) + b"JEOL\0\0\0\0"
    start += struct.pack("<6I", 0, 0, 512, len(head), 524 + len(head), 2 * len(stream))
    start += b"\0" * 260 + struct.pack("<d", 45000.0)
    with open(path, "wb") as file:
        file.write(start.ljust(512, b"\0") + b"\0" * 12 + head + np.array(stream, "<u2").tobytes())


lost = []
for rows, columns in ((8, 16), (16, 8)):
    write("map.pts", rows, columns)
    eager = int(np.asarray(file_reader("map.pts")[0]["data"]).sum(dtype=int))
    lazy = int(np.asarray(file_reader("map.pts", lazy=True)[0]["data"]).sum(dtype=int))
    lost.append(eager - lazy)
    print(f"{rows} rows, {columns} columns: {2 * rows * columns} counts written, {eager} eager, {lazy} lazy")
sys.exit(lost != [0, 128])
PYTHON
# Seen with RosettaSciIO 0.15.0:
#   8 rows, 16 columns: 256 counts written, 256 eager, 256 lazy
#   16 rows, 8 columns: 256 counts written, 256 eager, 128 lazy
