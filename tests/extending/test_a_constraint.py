"""A constraint of one's own, from outside the package."""

import torch

from fusion.constraints import Constraint
from fusion.testing import ConstraintContract


class Share(Constraint):
    """Every entry lies between 0 and 1, as a logistic function."""

    kind, entrywise = "sign", True

    def forward(self, raw):
        return torch.sigmoid(raw)

    def right_inverse(self, value):
        return torch.logit(value, eps=1e-6)


class TestShare(ConstraintContract):
    def make(self):
        return Share()

    def member(self, value):
        return bool(((value >= 0) & (value <= 1)).all())
