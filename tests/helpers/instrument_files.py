"""Small files in the layouts of instruments' programs, of which RosettaSciIO has no writer."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def dm3(path: Path, image: np.ndarray, axes: Sequence[tuple[float, float, str]], **words: str):
    """DigitalMicrograph 3: one image of float32, axes as (origin in channels, scale, unit)."""

    def tag(name: str, kinds: Sequence[int], raw: bytes) -> bytes:
        head = struct.pack(f">{len(kinds) + 1}i", len(kinds), *kinds)
        return b"\x15" + struct.pack(">H", len(name)) + name.encode() + b"%%%%" + head + raw

    def group(name: str, *tags: bytes) -> bytes:
        label = struct.pack(">H", len(name)) + name.encode()
        return b"\x14" + label + b"\x01\x00" + struct.pack(">i", len(tags)) + b"".join(tags)

    def number(name: str, value: float) -> bytes:
        return tag(name, [6], struct.pack("<f", value))

    def whole(name: str, value: int) -> bytes:
        return tag(name, [5], struct.pack("<I", value))

    def text(name: str, value: str) -> bytes:
        return tag(name, [20, 4, len(value)], value.encode("utf-16-le"))

    def place(origin: float, scale: float, units: str) -> bytes:
        return group("", number("Origin", origin), number("Scale", scale), text("Units", units))

    brightness = group("Brightness", number("Origin", 0.0), number("Scale", 1.0), text("Units", ""))
    dimension = group("Dimension", *(place(*axis) for axis in axes[::-1]))
    data = group(
        "ImageData",
        group("Calibrations", brightness, dimension),
        tag("Data", [20, 6, image.size], image.astype("<f4").tobytes()),
        whole("DataType", 2),
        group("Dimensions", *(whole("", n) for n in image.shape[::-1])),
        whole("PixelDepth", 4),
    )
    told = group("Meta Data", *(text(key, value) for key, value in words.items()))
    held = group("", data, group("ImageTags", told), text("Name", "map"))
    body = b"\x01\x00" + struct.pack(">i", 1) + group("ImageList", held)
    path.write_bytes(struct.pack(">3i", 3, len(body), 1) + body + b"\0" * 8)


def wdf(path: Path, cube: np.ndarray, order: Sequence[tuple[int, int]], flag: int) -> None:
    """Renishaw: a map (y, x, shift) whose spectra were measured at these (row, column) in turn."""
    rows, columns, channels = cube.shape
    shift = np.linspace(500.0, 1500.0, channels).astype("<f4")
    x, y = 10.0 + 2.0 * np.arange(columns), 50.0 + 2.0 * np.arange(rows)
    n = len(order)

    def block(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<IQ", name == b"WDF1", 16 + len(content)) + content

    head = struct.pack("<Q", 0) + struct.pack("<7I", 1, 2, 3, 4, 0, 0, 0)
    head += struct.pack("<3I2Q4I", 0, 0, channels, n, n, 1, 1, channels, 2)
    head += b"WiRE".ljust(24, b"\0") + struct.pack("<4H", 5, 3, 0, 0)
    head += struct.pack("<2I2QIf6Q", 6, 3, 132 * 10**15, 132 * 10**15 + 10**7, 6, 18797.0, *[0] * 6)
    head += b"user".ljust(32, b"\0") + b"map".ljust(160, b"\0")
    origin = struct.pack("<I", 2)
    for kind, places in ((3, [x[j] for _, j in order]), (4, [y[i] for i, _ in order])):
        label = (b"X", b"Y")[kind - 3].ljust(16, b"\0")
        origin += struct.pack("<2I", kind, 5) + label + np.array(places, "<f8").tobytes()
    scan = struct.pack("<2I6f4I", flag, 0, x[0], y[0], 0, 2, 2, 1, columns, rows, 1, 0)
    values = np.array([cube[i, j] for i, j in order], "<f4")
    path.write_bytes(
        block(b"WDF1", head.ljust(496, b"\0"))
        + block(b"DATA", values.tobytes())
        + block(b"YLST", struct.pack("<2If", 2, 6, 1.0))
        + block(b"XLST", struct.pack("<2I", 1, 1) + shift.tobytes())
        + block(b"ORGN", origin)
        + block(b"WMAP", scan)
    )


def pts(path: Path, counts: np.ndarray) -> None:
    """JEOL: the events of one sweep over a map (y, x, 4096)."""

    def entry(key: str, value: str | int | float | None = None, *inside: bytes) -> bytes:
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

    rows, columns, _ = counts.shape
    doc: Mapping[str, float | int] = {
        "CoefA": 0.01, "CoefB": 0.0, "DwellTime(msec)": 1.0, "Sweep": 1, "RealTime": 1.0
    }  # fmt: skip
    scan = (entry("ScanSize", 0.1), entry("DirAng", 0.0), entry("DetT", "SDD"))
    scan += (entry("ElevAng", 20.0), entry("MnKaRES", 140.0))
    measured = entry(
        "AnalyzableMap MeasData",
        None,
        entry("Meas Cond", None, entry("Pixels", f"{columns}x{rows}"), entry("Tpl", "T3")),
        entry("MeasCond", None, entry("Mag", 1e5), entry("AccKV", 200.0)),
        entry("Doc", None, *(entry(key, value) for key, value in doc.items())),
    )
    zero = entry("Tpl", None, entry("T3", None, entry("DigZ", 96)))
    pages = (entry("PARAMPAGE0", "SEM", *scan), entry("PARAMPAGE1", "EDXRF", zero))
    parameters = entry("PTTD Param", None, entry("Params", None, *pages))
    head = entry("PTTD Data", None, measured) + parameters + b"\xff"
    stream: list[int] = []
    for i in range(rows):
        stream.append(0x9000 | i * (4096 // rows))
        for j in range(columns):
            stream.append(0x8000 | j * (4096 // columns))
            channels = np.flatnonzero(counts[i, j])
            stream += [0xB000 | int(c) for c in np.repeat(channels, counts[i, j][channels])]
    start = struct.pack("<I", 304) + b"JEOL\0\0\0\0"
    start += struct.pack("<6I", 0, 0, 512, len(head), 524 + len(head), 2 * len(stream))
    start += b"\0" * 260 + struct.pack("<d", 45000.0)
    events = np.array(stream, "<u2").tobytes()
    path.write_bytes(start.ljust(512, b"\0") + b"\0" * 12 + head + events)


def spd(path: Path, counts: np.ndarray) -> None:
    """EDAX: a map (y, x, channel) of uint16 alone, without the files that calibrate it."""
    rows, columns, channels = counts.shape
    head = b"MAPSPECTRA_DATA\0" + struct.pack(
        "<8i", 1, rows * columns, columns, rows, channels, 2, 1084, 1
    )
    head += b"map_Img.bmp".ljust(120, b"\0")
    path.write_bytes(head.ljust(1084, b"\0") + counts.astype("<u2").tobytes())


def rpl(path: Path, cube: np.ndarray, *, by: str, **keys: str | float) -> None:
    """Ripple: a map (y, x, energy) of uint16 beside its header, by vectors or by images."""
    rows, columns, channels = cube.shape
    array = cube if by == "vector" else cube.transpose(2, 0, 1)
    array.astype("<u2").tofile(path.with_suffix(".raw"))
    told: dict[str, str | float] = {"width": columns, "height": rows, "depth": channels}
    told |= {"offset": 0, "data-length": 2, "data-type": "unsigned"}
    told |= {"byte-order": "little-endian", "record-by": by, **keys}
    lines = ["key\tvalue", *(f"{key}\t{value}" for key, value in told.items())]
    path.write_text("\n".join(lines) + "\n")
