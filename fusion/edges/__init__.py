"""What edges of spectra say: areas of windows, white lines, onsets, with errors."""

from fusion.edges.areas import Areas, areas
from fusion.edges.onset_shifts import OnsetShifts, onset_shifts
from fusion.edges.white_lines import WhiteLines, white_lines

__all__ = [
    "Areas",
    "OnsetShifts",
    "WhiteLines",
    "areas",
    "onset_shifts",
    "white_lines",
]
