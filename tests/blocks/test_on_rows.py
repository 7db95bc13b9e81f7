"""A model on some pixels: its own copy of all but what it was told to share."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import fusion as fu
from fusion.blocks.on_rows import model_on_rows

DATA = fu.Dataset("a", np.ones((4, 5, 6)))


class Nested(fu.Model):
    """Parts within parts, one of them at two places, and attributes of a user's own."""

    def __init__(self):
        super().__init__()
        self.C = fu.Factor((DATA.pixels, 2))
        self.part = fu.Model()
        self.part.S = fu.Factor((DATA.channels, 2))
        self.again, self.parts, self.none = self.part, nn.ModuleList(), None
        self.known, self.told = {"counts": [1, 2]}, self.part
        self.register_buffer("level", torch.ones(3))

    def forward(self):
        return {"a": fu.cp(self.C, self.part.S)}


def test_the_copy_has_these_rows_and_shares_nothing_that_can_be_changed():
    model = Nested()
    model.C = np.arange(40.0).reshape(20, 2)
    model.eval()
    other = model_on_rows(model, {"C": DATA.pixels}, {DATA.pixels: torch.tensor([3, 17])})
    assert other.factor("C")().tolist() == [[6.0, 7.0], [34.0, 35.0]]
    assert other.predict()["a"].shape == (2, 6)
    assert other.part is other.again
    assert other.told is other.part  # as deepcopy has it
    assert other.part is not model.part
    assert not other.training
    with torch.no_grad():
        other.part.factor("S").raw.zero_()
        other.level.zero_()
    other.known["counts"].append(3)
    other.parts.append(nn.Identity())
    other.register_forward_hook(lambda *_: None)
    assert float(model.part.S.detach().min()) > 0
    assert model.level.tolist() == [1, 1, 1]
    assert model.known == {"counts": [1, 2]}
    assert len(model.parts) == 0
    assert not model._forward_hooks


def test_a_module_that_copies_itself_is_asked_to():
    class Own(nn.Module):
        def __deepcopy__(self, memo):
            return "a copy of its own"

    model = Nested()
    model._modules["own"] = Own()
    other = model_on_rows(model, {"C": DATA.pixels}, {DATA.pixels: torch.tensor([0])})
    assert other._modules["own"] == "a copy of its own"
