"""Autograd on, whatever the caller has switched off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def autograd() -> Iterator[None]:
    """Derivatives are recorded within it, also inside `torch.no_grad` and `inference_mode`."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
