#!/usr/bin/env bash
# RosettaSciIO 0.15.0: a Renishaw map that was measured column by column is folded row by row.
#
# A wdf file says for every spectrum where it was measured (block ORGN) and that a map runs by columns
# (flag 2 of block WMAP). The reader takes the spectra in the order of the file for rows: a picture of
# such a map is sheared. Nothing is logged.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "rosettasciio==0.15.0" "numpy<3"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import logging
import struct
import sys

import numpy as np
from rsciio.renishaw import file_reader

logging.disable(logging.CRITICAL)
ROWS, COLUMNS, CHANNELS = 3, 5, 8


def block(name, content):
    return name + struct.pack("<IQ", name == b"WDF1", 16 + len(content)) + content


def write(path, order, flag):
    """A map whose spectra hold the index of their column; `order` is that of the measurement."""
    x, y, n = 10 + 2.0 * np.arange(COLUMNS), 50 + 2.0 * np.arange(ROWS), len(order)
    head = struct.pack("<Q", 0) + struct.pack("<7I", 1, 2, 3, 4, 0, 0, 0)
    head += struct.pack("<3I2Q4I", 0, 0, CHANNELS, n, n, 1, 1, CHANNELS, 2)
    head += b"WiRE".ljust(24, b"\0") + struct.pack("<4H", 5, 3, 0, 0)
    head += struct.pack("<2I2QIf6Q", 6, 3, 132 * 10**15, 132 * 10**15 + 1, 6, 18797.0, *[0] * 6)
    origin = struct.pack("<I", 2)
    for kind, places in ((3, [x[j] for _, j in order]), (4, [y[i] for i, _ in order])):
        origin += struct.pack("<2I", kind, 5) + b"XY"[kind - 3 : kind - 2].ljust(16, b"\0")
        origin += np.array(places, "<f8").tobytes()
    scan = struct.pack("<2I6f4I", flag, 0, x[0], y[0], 0, 2, 2, 1, COLUMNS, ROWS, 1, 0)
    values = np.array([[j] * CHANNELS for _, j in order], "<f4")
    shift = np.linspace(500, 1500, CHANNELS).astype("<f4")
    with open(path, "wb") as file:
        file.write(block(b"WDF1", head.ljust(496, b"\0")) + block(b"DATA", values.tobytes()))
        file.write(block(b"YLST", struct.pack("<2If", 2, 6, 1.0)))
        file.write(block(b"XLST", struct.pack("<2I", 1, 1) + shift.tobytes()))
        file.write(block(b"ORGN", origin) + block(b"WMAP", scan))


by_row = [(i, j) for i in range(ROWS) for j in range(COLUMNS)]
by_column = [(i, j) for j in range(COLUMNS) for i in range(ROWS)]
right = []
for name, order, flag in (("row by row", by_row, 0), ("column by column", by_column, 2)):
    write("map.wdf", order, flag)
    got = file_reader("map.wdf")[0]["data"][..., 0].astype(int)
    right.append(bool((got == np.arange(COLUMNS)).all()))
    print(f"measured {name}; index of the column, as read:\n{got}")
sys.exit(right != [True, False])
PYTHON
# Seen with RosettaSciIO 0.15.0:
#   measured row by row; index of the column, as read:
#   [[0 1 2 3 4]
#    [0 1 2 3 4]
#    [0 1 2 3 4]]
#   measured column by column; index of the column, as read:
#   [[0 0 0 1 1]
#    [1 2 2 2 3]
#    [3 3 4 4 4]]
