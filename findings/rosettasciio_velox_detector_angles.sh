#!/usr/bin/env bash
# RosettaSciIO 0.15.0 with HyperSpy 2.5.0 and eXSpy 0.3.2: the X-ray detectors of a Velox file stand
# elsewhere than the file says.
#
# A Velox file has elevation and azimuth of every detector, in radians. The reader hands them on among
# `original_metadata` alone; the signal that HyperSpy makes of them says 35° and 0°, eXSpy's defaults,
# which look like what was read. What the specimen absorbs on the way out goes with 1 / sin(elevation):
# at 18°, as the file below has it, 1.86 times as much as at 35°.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "rosettasciio[eds-stream,hdf5]==0.15.0" "hyperspy==2.5.0" "exspy==0.3.2" "numpy<3" "h5py==3.16.0"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import json
import logging
import sys

import h5py
import hyperspy.api as hs
import numpy as np

logging.disable(logging.CRITICAL)
ROWS, COLUMNS, ELEVATION = 4, 6, 18.0

place = {"PixelSize": {"width": "1e-9", "height": "1e-9"}, "Offset": {"x": "0", "y": "0"}}
place |= {"PixelUnitX": "m", "PixelUnitY": "m", "Detector": "SuperX", "DetectorIndex": "0"}
detectors = {
    f"Detector-{i}": {"DetectorName": f"SuperX{i}", "DetectorType": "AnalyticalDetector",
                      "Dispersion": "10", "OffsetEnergy": "0",
                      "ElevationAngle": str(np.radians(ELEVATION)), "AzimuthAngle": str(np.radians(45 + 90 * i))}
    for i in range(4)
}
metadata = {
    "BinaryResult": place,
    "Detectors": detectors,
    "Optics": {"AccelerationVoltage": "200000"},
    "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "0"}},
    "Scan": {"ScanSize": {"width": str(COLUMNS), "height": str(ROWS)}},
}
stream = [value for pixel in range(ROWS * COLUMNS) for value in (100 + pixel, 65535)]
with h5py.File("map.emd", "w") as file:
    def text(where, content):
        file.create_dataset(where, data=[json.dumps(content)], dtype=h5py.string_dtype())

    def array(where, data):
        file.create_dataset(f"{where}/Data", data=data, chunks=data.shape)
        letters = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
        file.create_dataset(f"{where}/Metadata", data=letters[:, None])

    text("Version", {"format": "Velox", "version": "11"})
    file.create_group("Displays/ImageDisplay")
    array("Data/Image/scan", np.ones((ROWS, COLUMNS, 1), np.uint16))
    text("Data/SpectrumImage/0/SpectrumImageSettings", {"endFramePosition": "1"})
    array("Data/SpectrumStream/0", np.array(stream, np.uint16)[:, None])
    text("Data/SpectrumStream/0/AcquisitionSettings", {"bincount": "4096", "StreamEncoding": "uint16"})

signal = next(s for s in hs.load("map.emd") if s.data.ndim == 3)
told = signal.metadata.Acquisition_instrument.TEM.Detector.EDS
kept = signal.original_metadata.Detectors["Detector-0"]["ElevationAngle"]
print(f"{type(signal).__name__}: elevation_angle {told.elevation_angle}, azimuth_angle {told.azimuth_angle}")
print(f"original_metadata: ElevationAngle {float(kept):.4f} rad = {np.degrees(float(kept)):.1f} degrees")
sys.exit((float(told.elevation_angle), float(told.azimuth_angle)) != (35.0, 0.0))
PYTHON
# Seen with RosettaSciIO 0.15.0, HyperSpy 2.5.0, eXSpy 0.3.2:
#   EDSTEMSpectrum: elevation_angle 35.0, azimuth_angle 0.0
#   original_metadata: ElevationAngle 0.3142 rad = 18.0 degrees
