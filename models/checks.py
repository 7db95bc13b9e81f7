"""What several models check of their arguments."""

import re
from collections.abc import Sequence
from numbers import Integral

from fusion.algebra.axis_differences import axis_differences
from fusion.data.dataset import Dataset, check_dataset


def check_rank(call: str, K: object, most: int, what: str) -> None:
    """Complain of a number of components that is no whole number from 1 to `most`.

    Raises:
        ValueError: naming the call, and what sets the limit.
    """
    if not isinstance(K, Integral) or isinstance(K, bool) or not 1 <= int(K) <= most:
        meant = re.fullmatch(r"\s*(\d+)(\.0*)?\s*", str(K))
        line = f": give K={int(meant[1])}" if meant and not isinstance(K, Integral) else ""
        if most < 2:
            raise ValueError(
                f"`{call}`: {what}: that is no map, and has no unknown components to tell apart: "
                "known spectra are fitted to a single spectrum by `fu.mlls(data, references)`, the "
                "elements of X-rays by `fu.models.ElementMaps(data, elements)`."
            )
        raise ValueError(f"`{call}`: {what}: K must be a whole number from 1 to {most}{line}.")


def check_datasets(call: str, datasets: Sequence[object]) -> None:
    """Complain of too few data sets, and of names that no factor can be told apart by.

    Raises:
        ValueError: naming the call and the data sets.
    """
    for data in datasets:
        check_dataset(call, data)
    names = [data.name for data in datasets if isinstance(data, Dataset)]
    if not names:
        raise ValueError(f"`{call}`: no data set: give one or more.")
    if len({identifier(name) for name in names}) < len(names):
        raise ValueError(
            f"`{call}`: the data sets are named {', '.join(map(repr, names))}: "
            "give each a name of its own (letters, digits and _ tell them apart)."
        )


def check_axes(call: str, datasets: Sequence[Dataset], which: str) -> None:
    """Complain of data sets whose `pixels` or `channels` are not the same ones.

    Sizes, steps and units, where these do not convert; of channels also where they begin.

    Raises:
        ValueError: naming two data sets, and what differs.
    """
    first, *rest = datasets
    size = [axis.size for axis in getattr(first, which)]
    for other in rest:
        if (other_size := [axis.size for axis in getattr(other, which)]) != size:
            raise ValueError(
                f"`{call}`: {first.name!r} has {which} {tuple(size)}, "
                f"{other.name!r} {tuple(other_size)}: crop or rebin one of them."
            )
        pairs = zip(getattr(first, which), getattr(other, which), strict=True)
        differences = [
            f"{a.name}: {text}"
            for a, b in pairs
            for text in axis_differences(a, b, origin=which == "channels")
        ]
        if differences:
            raise ValueError(
                f"`{call}`: {first.name!r} and {other.name!r} do not have the same {which}: "
                f"{'; '.join(differences)}: crop or bin them alike, correct the calibration, or "
                "let the model see one through `fusion.resample`."
            )


def identifier(name: str) -> str:
    """The data set's name as a part of an attribute's name: "low loss" → "low_loss"."""
    return re.sub(r"\W", "_", name)
