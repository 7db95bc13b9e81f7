"""What a model found beside maps and spectra, as commands write it and tell of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any


class Findings(ABC):
    """Words, files and a picture of what else an answer has.

    Attributes:
        spectra: whether a table of the components' spectra is written, too.
    """

    spectra = True

    @abstractmethod
    def text(self) -> str:
        """What is printed, and stands in the summary."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Its files."""

    def page(self) -> dict[str, Any]:
        """Options of `result.report` with what was found, for the page."""
        return {}

    def figure(self) -> Any:
        """A picture in the place of the one of every result, or None."""
        return None
