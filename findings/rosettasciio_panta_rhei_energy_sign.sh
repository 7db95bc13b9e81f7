#!/usr/bin/env bash
# RosettaSciIO 0.15.0: a Panta Rhei (CEOS) EELS map that is stored in the direction of energy loss is mirrored.
#
# The reader turns the energy axis of every prz of mode EELS; one whose offset is 400 eV and whose step is
# +1 eV comes with energies from -655 to -400 eV.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "rosettasciio==0.15.0" "numpy<3"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import json
import sys

import numpy as np
from rsciio.pantarhei import file_reader

energy = 400.0 + np.arange(256)
cube = np.broadcast_to((energy > 532) * 1.0, (3, 4, 256)).copy()
axes = [{"unit": "eV", "value": 1.0, "offset": 400.0}, *[{"unit": "m", "value": 1e-9, "offset": 0.0}] * 2]
told = {"type": "3D", "filter.mode": "EELS", "content.types": ["Energy", "ScanX", "ScanY"], "device.calib": axes}
with open("map.prz", "wb") as file:
    np.savez_compressed(file, data=cube, meta_data_json=json.dumps([told]), file_format_version=3)
entry = file_reader("map.prz")[0]
axis = next(a for a in entry["axes"] if a["units"] == "eV")
x = axis["offset"] + axis["scale"] * np.arange(axis["size"])
step = x[np.abs(np.diff(np.asarray(entry["data"])[0, 0])).argmax()]
print(f"energies as read: {x[0]:g} to {x[-1]:g} eV; the step at 532 eV lies at {step:g} eV")
sys.exit(not (x[-1] < 0 and abs(step + 533) < 2))
PYTHON
# Seen with RosettaSciIO 0.15.0:
#   energies as read: -655 to -400 eV; the step at 532 eV lies at -533 eV
