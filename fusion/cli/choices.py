"""Data sets of a file to choose from: lines to paste into a shell."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from fusion.files.contents import SeveralDatasets


def quoted_lines(error: Any) -> str:
    """What could be meant, a line each, that a shell takes as it stands."""
    contents = [replace(each, name=in_quotes(each.name)) for each in error.contents]
    return SeveralDatasets(error.path, contents).lines("--signal ")


def in_quotes(name: str) -> str:
    r"""A name as it stands between double quotes of a shell: `"`, `$`, `\`` and `\` are escaped."""
    return re.sub(r'(["\\$`])', r"\\\1", name)
