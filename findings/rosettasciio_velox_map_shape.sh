#!/usr/bin/env bash
# RosettaSciIO 0.15.0: the shape of a Velox EDS map is that of the last image in the file.
#
# Velox names its images at random, and HDF5 lists them by name. Where a survey image of another size
# comes last, the events of the map are folded into its shape: counts stay, pixels do not. The file's
# own metadata (Scan: ScanSize, ScanArea) tell the shape of the scan.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "rosettasciio[eds-stream,hdf5]==0.15.0" "numpy<3" "h5py==3.16.0"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import json
import logging
import sys

import h5py
import numpy as np
from rsciio.emd import file_reader

logging.disable(logging.CRITICAL)
ROWS, COLUMNS, SURVEY = 4, 6, 12


def write(path, scan, survey):
    """An emd of a map of 4 × 6 pixels, the image of its scan and a survey image of 12 × 12."""
    place = {"PixelSize": {"width": "1e-9", "height": "1e-9"}, "Offset": {"x": "0", "y": "0"}}
    place |= {"PixelUnitX": "m", "PixelUnitY": "m", "Detector": "SuperX", "DetectorIndex": "0"}
    area = {"left": "0", "top": "0", "right": str(COLUMNS / SURVEY), "bottom": str(ROWS / SURVEY)}
    metadata = {
        "BinaryResult": place,
        "Detectors": {"Detector-0": {"DetectorName": "SuperX", "Dispersion": "10", "OffsetEnergy": "0"}},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "0"}},
        "Scan": {"ScanSize": {"width": str(SURVEY), "height": str(SURVEY)}, "ScanArea": area},
    }
    stream = [value for pixel in range(ROWS * COLUMNS) for value in (100 + pixel, 65535)]
    with h5py.File(path, "w") as file:
        def text(where, content):
            file.create_dataset(where, data=[json.dumps(content)], dtype=h5py.string_dtype())

        def array(where, data):
            file.create_dataset(f"{where}/Data", data=data, chunks=data.shape)
            letters = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
            file.create_dataset(f"{where}/Metadata", data=letters[:, None])

        text("Version", {"format": "Velox", "version": "11"})
        file.create_group("Displays/ImageDisplay")
        array(f"Data/Image/{scan}", np.ones((ROWS, COLUMNS, 1), np.uint16))
        array(f"Data/Image/{survey}", np.ones((SURVEY, SURVEY, 1), np.uint16))
        text("Data/SpectrumImage/0/SpectrumImageSettings", {"endFramePosition": "1"})
        array("Data/SpectrumStream/0", np.array(stream, np.uint16)[:, None])
        text("Data/SpectrumStream/0/AcquisitionSettings", {"bincount": "4096", "StreamEncoding": "uint16"})


seen = []
for scan, survey in (("b", "a"), ("a", "b")):
    write("map.emd", scan, survey)
    data = next(e["data"] for e in file_reader("map.emd") if e["data"].ndim == 3)
    seen.append((data.shape, int(data.sum())))
    print(f"image of the scan {scan!r}, survey {survey!r}: map of shape {data.shape}, {data.sum()} counts")
sys.exit(seen != [((4, 6, 4096), 24), ((12, 12, 4096), 24)])
PYTHON
# Seen with RosettaSciIO 0.15.0:
#   image of the scan 'b', survey 'a': map of shape (4, 6, 4096), 24 counts
#   image of the scan 'a', survey 'b': map of shape (12, 12, 4096), 24 counts
