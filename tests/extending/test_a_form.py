"""A form of data of one's own, from outside the package: an array on disk, read by blocks."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.forms.contract import Form
from fusion.forms.weights import Weights
from fusion.losses import Frobenius
from fusion.testing import FormContract

COUNTS = np.random.default_rng(0).poisson(1.5, (9, 5)).astype("float32")


class OnDisk(Form):
    """An array in a file, of which two rows at a time are in memory."""

    def __init__(self, path, dtype=torch.float64):
        self.array = np.load(path, mmap_mode="r")
        super().__init__(self.array.shape, Weights(), dtype)

    def blocks(self, dtype):
        for start in range(0, len(self.array), 2):
            rows = slice(start, min(start + 2, len(self.array)))
            yield rows, torch.tensor(self.array[rows]).to(dtype)


class TestOnDisk(FormContract):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path):
        self.path = tmp_path / "counts.npy"
        np.save(self.path, COUNTS)

    def make(self, dtype):
        return OnDisk(self.path, dtype), torch.tensor(COUNTS).double(), torch.ones(9, 5).double()

    def test_a_fit_reads_it(self):
        data = fu.Dataset("counts", COUNTS)
        losses = [Frobenius(data), Frobenius(data).with_form(OnDisk(self.path))]
        fits = [fu.fit(fu.models.NMF(data, 2), x, starts=2, progress=False).loss for x in losses]
        assert fits[0] == pytest.approx(fits[1], rel=1e-9)
