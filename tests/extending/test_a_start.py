"""A way to start of one's own, from outside the package."""

from dataclasses import dataclass

import torch

import fusion as fu
from fusion.testing import InitContract


@dataclass(frozen=True)
class Even(fu.Init):
    """Equal amounts everywhere, but for one part in ten."""

    def starts(self, objective, count, seed):
        generator = torch.Generator().manual_seed(seed)
        shape = count, objective.size
        return 1 + 0.1 * torch.rand(shape, generator=generator, dtype=objective.like.dtype)


class TestEven(InitContract):
    def make(self):
        return Even()
