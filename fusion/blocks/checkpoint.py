"""Where a fit by blocks stood after its last pass: written whole or not at all, and read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusion._version import __version__
from fusion.blocks.partition import Block
from fusion.blocks.sample import Sample
from fusion.data.dataset import Dataset
from fusion.language.loss import Loss
from fusion.language.model import Model

STATE = "sdfusion checkpoint"


class Checkpoint:
    """A file that is written anew after every pass.

    Args:
        path: of the file; None: nothing is kept.
        model, loss: of the fit.
        options: of the search, as far as they change the answer.
    """

    def __init__(
        self, path: Path | None, model: Model, loss: Loss, options: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.belongs = _belongs(model, loss, options)

    def read(self) -> dict[str, Any] | None:
        """What was written last; None where there is no file.

        Raises:
            ValueError: if it is of another fit, or no checkpoint: what differs.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            belongs = kept[STATE]
        except Exception as error:
            raise ValueError(
                f"`Blocks(checkpoint={str(self.path)!r})`: no checkpoint of a fit by blocks "
                f"({type(error).__name__}): give another name, or remove the file."
            ) from error
        for what, mine in self.belongs.items():
            if belongs.get(what) != mine:
                raise ValueError(
                    f"`Blocks(checkpoint={str(self.path)!r})`: of another fit: its {what} was "
                    f"{belongs.get(what)}, this fit's is {mine}: remove the file, or give another "
                    "name."
                )
        return kept

    def write(self, content: Mapping[str, Any]) -> None:
        """Keep this in place of what was kept before."""
        if self.path is None:
            return
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            torch.save({STATE: self.belongs, **content}, beside)
            os.replace(beside, self.path)
        except (OSError, RuntimeError) as error:
            beside.unlink(missing_ok=True)
            raise OSError(
                f"`Blocks(checkpoint={str(self.path)!r})`: could not be written ({error}): the one "
                "of the pass before is as it was; make room, or give another place."
            ) from error

    def remove(self) -> None:
        """The fit has ended: what is kept is of no more use."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def fingerprint(sample: Sample) -> str:
    """Of the values of a sample."""
    made = hashlib.sha256()
    for name in sorted(sample.datasets):
        data = sample.datasets[name]
        values = data.tensor if data.entries is None else data.entries.x
        made.update(values.contiguous().numpy().tobytes())
    return made.hexdigest()[:16]


def _belongs(model: Model, loss: Loss, options: Mapping[str, Any]) -> dict[str, str]:
    """What must be the same for a fit to go on."""
    factors = [f"{n} {m.shape} {m.chain}" for n, m in model.factor_modules().items()]
    return {
        "version of sdfusion": __version__,
        "model": f"{type(model).__name__}({'; '.join(factors)})",
        "loss": str(loss),
        "data": "; ".join(_told(data) for data in loss.datasets.values()),
        "options": ", ".join(f"{key}={options[key]!r}" for key in sorted(options)),
    }


def _told(data: Dataset) -> str:
    masked = 0 if data.mask is None else int(data.mask.sum())
    noise = "none" if data.variance is None else f"{float(data.variance.double().sum()):.17g}"
    return f"{data.name} {data.shape} {data.dtype}, masked {masked}, variance {noise}"


def as_saved(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that hold their own memory."""
    return {name: v.detach().cpu().clone() for name, v in values.items()}


def same_blocks(blocks: list[Block]) -> str:
    """How the pixels are taken apart, which sums depend on by rounding."""
    return f"{len(blocks)} blocks"
