"""Messages of the package in the words of the command line: `mask=` is `--mask` there."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fusion.algebra.cautions import FusionWarning

NUMBER = r"-?[\w.+-]*"
CALL = r"\w+\((?:[^()]|\([^()]*\))*\)"
SPECTRAL = r"(energy|wavelength|wavenumber)\w*"
NUMBERED = r"(?:energy|wavelength|wavenumber|channel)\w*"
OWNER = r"(?:Dataset\('[^']*'\)\.|\w+\.)?"

RULES: tuple[tuple[str, str], ...] = (
    # where both are said, what is the command line's
    (r"masked\((.+?)\), on the command line --mask FILE", r"--mask FILE, a numpy.save of \1"),
    (
        r"variance=…((?: if you know it)?) \(on the command line (--variance \S*?)\)(?=[.,;:]|$)",
        r"\2\1",
    ),
    (rf"`?{CALL}`?, (--(?:energy|wavelength|wavenumber) )", r"\1"),
    # parts and sums
    (rf"{OWNER}crop\({SPECTRAL}=\(({NUMBER}), ({NUMBER})\)\)", r"--\1 \2:\3"),
    (rf"crop\(({NUMBERED}=slice\(\d+, \d+\))\)\.?", r"\1 "),
    (rf"{OWNER}bin\((\w[\w ]*=\d+(?:, \w[\w ]*=\d+)*)\)", r"--bin \1"),
    (r"\bbin\(\)", "--bin"),
    # masks, noise, losses
    (r"\bmask=(~numpy\.isfinite\(array\))", r"--mask FILE, a numpy.save of \1"),
    (r"\bmask=…?(?=[\s.,;:)]|$)", "--mask FILE"),
    (r"\bmasked\(\)", "--mask FILE"),
    (r"`?(\w+) = \1\.estimate_variance\(\)`?", r"--variance \1=estimate"),
    (
        r"(?:use )?`?Frobenius`? after `?estimate_variance\(\)`?",
        "--loss frobenius with --variance estimate",
    ),
    (r"(?:use |else )`?(Frobenius|Poisson|Gaussian)`?(?= with | if |, |;|\.|$)", r"--loss \1"),
    (rf"{OWNER}estimate_variance\(\)", "--variance estimate"),
    (rf"{OWNER}with_variance\([^()]*\)", "--variance V"),
    (r"\bvariance=(?:…|\w+\b)?", "--variance V"),
    # which data set, how it is read, how long it may take
    (
        r"fu\.load\(\"[^\"]*\", dataset=(\"[^\"]*\"), energy=(\"[^\"]*\")\)",
        r"--dataset \1 --reader energy=\2",
    ),
    (
        r"fu\.load\(\"[^\"]*\", dataset=(\"[^\"]*\"), axes=(\[[^\]]*\])\)",
        r"--dataset \1 --reader 'axes=\2'",
    ),
    (r"fu\.load\(\"[^\"]*\", dataset=(\"[^\"]*\")\)", r"--dataset \1"),
    (
        r"\(an image: add axes=\[\"y\", \"x\"\]; energies: energy=\"/path\", or an array\)",
        '(an image: add --reader \'axes=["y", "x"]\'; energies: --reader energy=/path)',
    ),
    (r"""\bsignal=(['"])(.*?)\1""", r'--signal "\2"'),
    (r"`load\('([^']*)', (segments|dataset)=[^`]*\)`", r"\1: --\2"),
    (r"`load\('([^']*)', (\w+)=[^`]*\)`", r"\1: --reader \2"),
    (
        r"(crop or bin the data first), or give them lazily \(a dask array\), so that they are "
        r"looked at block by block",
        r"\1, --energy A:B, --bin N",
    ),
    (r"`beam_energy=([\d.]+)`", r"--beam-energy \1"),
    (r"`elevation=([\d.]+)`", r"--elevation \1"),
    (r"\bbeam_energy=(?=[\d.])", "--beam-energy "),
    (r"\belevation=(?=[\d.])", "--elevation "),
    (
        r"`fu\.models\.ElementMaps\(data, [^`]*\)`",
        "sdfusion compositions FILE --elements Sr,Ti,O",
    ),
    (r"by `fu\.mlls\(", "in Python, `fu.mlls("),
    (r"`composition\(oxygen=Stoichiometry\(…\)\)`", "--oxygen stoichiometry"),
    (r"leave `oxygen` out", "leave --oxygen out"),
    (r"leave `k_factors` out", "leave --k-factors out"),
    (r"give `onset=`, in eV", "give --onset EV"),
    (r"\bonset=([\d.]+) eV", r"--onset \1"),
    (
        r"correct the calibration, `align`, or give where it is",
        "correct it, or give --zero-loss A:B",
    ),
    (r"Go on with `fu\.fit\([^`]*\)`", "Allow more time, --max-seconds"),
)
"""(Python's words, the command line's), in the order in which they are looked for."""


def command_words(text: str) -> str:
    """The same with options in the place of Python's arguments and methods.

    Example:
        >>> from fusion.cli.words import command_words
        >>> command_words("nothing is known of the noise: give variance=… instead")
        'nothing is known of the noise: give --variance V instead'
        >>> command_words("a peak at zero: crop(energy=(0.08, None)) leaves it out")
        'a peak at zero: --energy 0.08: leaves it out'
    """
    for pattern, words in RULES:
        text = re.sub(pattern, words, text)
    text = re.sub(rf"{NUMBERED}=slice\((\d+), (\d+)\)", _channels, text)
    text = re.sub(r"--bin (\w[\w ]*=\d+(?:, \w[\w ]*=\d+)+)", _each_axis, text)
    text = re.sub(r"--loss (\w+)", lambda found: found[0].lower(), text)
    text = re.sub(r"`Stoichiometry\(\{(.*?)\}\)`", _valences, text)
    return re.sub(rf"--(energy|wavelength|wavenumber) ({NUMBER}):({NUMBER})", _ends, text)


def _channels(found: re.Match[str]) -> str:
    """The numbers of a slice, the last of them in."""
    return f"--channels {found[1]}:{int(found[2]) - 1}"


def _each_axis(found: re.Match[str]) -> str:
    """ "--bin y=2 --bin x=2"."""
    return " ".join(f"--bin {part}" for part in found[1].split(", "))


def _valences(found: re.Match[str]) -> str:
    """ "--valence Fe=3 --valence S=6"."""
    pairs = re.findall(r"'(\w+)': ([^,}]+)", found[1])
    return " ".join(f"--valence {element}={valence}" for element, valence in pairs)


def _ends(found: re.Match[str]) -> str:
    """Without None for an end that is open."""
    low, high = ("" if end == "None" else end for end in found.group(2, 3))
    return f"--{found[1]} {low}:{high}"


@contextmanager
def cautions_in_lines() -> Iterator[None]:
    """Cautions of the package as a line each on standard error, none twice; others as usual."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", FusionWarning)
        usual = warnings.showwarning

        def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
            if not issubclass(category, FusionWarning):
                usual(message, category, *place, **more)
            elif (text := " ".join(command_words(str(message)).split())) not in said:
                said.add(text)
                print(f"warning: {text}", file=sys.stderr)

        warnings.showwarning = show
        yield
