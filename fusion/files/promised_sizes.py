"""What the head of a file promises, held against what is there: readers take what they find."""

from __future__ import annotations

import bz2
import re
import struct
from pathlib import Path

ENTRY = re.compile(r"#\s*(?P<key>[A-Z]+)[^:]*:\s*(?P<value>.*)")
BLOCK = 2**20
"""Bytes that are read at a time."""
BRUKER_HEAD = 0x14C
"""Bytes, of which the last are the number of chunks."""
SEPARATOR = re.compile(r"[,;\s]+")


def check_promised(path: Path) -> None:
    """Complain of a file that is cut off where its reader would not.

    Raises:
        ValueError: if it is.
    """
    if not path.is_file():
        return
    if path.suffix.lower() == ".elid" and not _is_whole_bz2(path):
        raise ValueError(f"{path}: cut off or damaged: copy or save it again.")
    if path.suffix.lower() in (".bcf", ".pan"):
        promised, there = _bytes_of_bruker(path), path.stat().st_size
        if there < promised:
            raise ValueError(
                f"{path}: cut off: it promises {promised} bytes, {there} are there: copy or save "
                "it again."
            )
    if path.suffix.lower() in (".msa", ".emsa"):
        promised, there = _points_of_msa(path)
        if there < promised:
            raise ValueError(
                f"{path}: cut off: it promises {promised} channels, {there} are there: copy or "
                "save it again."
            )


def _bytes_of_bruker(path: Path) -> int:
    """Size of a Bruker composite by its head: chunks of one size behind 280 bytes."""
    with path.open("rb") as file:
        head = file.read(BRUKER_HEAD)
    if not head.startswith(b"AAMVHFSS"):
        return 0  # the reader says that it is none
    if len(head) < BRUKER_HEAD:
        return BRUKER_HEAD
    (chunk,), (count,) = (struct.unpack_from("<I", head, place) for place in (0x128, 0x148))
    return chunk * count + 280


def _is_whole_bz2(path: Path) -> bool:
    """Whether what is packed ends as it should."""
    packed = bz2.BZ2Decompressor()
    with path.open("rb") as file:
        if file.read(3) != b"BZh":
            return True  # the reader says that it is none
        file.seek(0)
        try:
            while not packed.eof:
                part = file.read(BLOCK) if packed.needs_input else b""
                if packed.needs_input and not part:
                    return False
                packed.decompress(part, BLOCK)
        except OSError:
            return False
    return True


def _points_of_msa(path: Path) -> tuple[int, int]:
    """Channels that NPOINTS promises, 0 where it is not told, and those that are there."""
    head, numbers, begun = {}, 0, False
    for line in path.read_text(encoding="latin-1").splitlines():
        found = ENTRY.match(line.strip().upper())
        if found is not None:
            if found["key"] == "ENDOFDATA":
                break
            begun = begun or found["key"] == "SPECTRUM"
            head.setdefault(found["key"], found["value"].strip())
        elif begun:
            numbers += len([part for part in SEPARATOR.split(line.strip()) if part])
    try:
        promised = round(float(head.get("NPOINTS", "0")))
    except (ValueError, OverflowError):
        return 0, 0
    return promised, numbers // (2 if head.get("DATATYPE", "").startswith("XY") else 1)
