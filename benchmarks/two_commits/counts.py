"""Counts under Poisson's likelihood: measured, simulated, drawn; of one detector and of two."""

from __future__ import annotations

from typing import Any

import fusion as fu
from benchmarks import generators as _generators
from benchmarks.problems import Problem as _Problem
from fusion.losses import L1, Poisson, SquaredNorm
from fusion.models import NMF, SoftlyCoupled

from .case import Case as _Case


class _Measured(_Case):
    """A map of counts, its empty channels among them, by a call that says nothing but K."""

    path = ""
    array = "data"

    def data(self) -> Any:
        return self.read(self.path)[self.array]

    def call(self, data: Any) -> fu.Result:
        counts = fu.Dataset("counts", data)
        return fu.fit(NMF(counts, 3), Poisson(counts), progress=False)


class FePt(_Measured):
    """Core-shell particles, 64 × 64 × 992, measured."""

    path = "nist_edxs/FePt_core_shell"


class Mantle88GPa(_Measured):
    """Mantle phases, 80 × 80 × 1917, measured."""

    path = "espm_geology_edxs/88GPa_80x80"


class AlFeSi3N4(_Measured):
    """Multilayer, 64 × 64 × 985, 1000 counts a pixel."""

    path = "espm_simulated_edxs/AlFeSi3N4_multilayer"
    array = "counts_dose1000"


class SparseMaps(Mantle88GPa):
    """The mantle phases with maps of few pixels."""

    def call(self, data: Any) -> fu.Result:
        counts = fu.Dataset("counts", data)
        loss = Poisson(counts) + 0.01 * L1("C")
        return fu.fit(NMF(counts, 3), loss, progress=False)


class PoissonOneStart(_Case):
    """`poisson` of the benchmarks: pixels, channels, K; 0.05 counts a channel."""

    sizes = (65536, 2048, 5)
    starts = 1

    def data(self) -> _Problem:
        return _generators.poisson(*self.sizes, seed=0)

    def call(self, data: _Problem) -> fu.Result:
        model, loss = data.ours()
        return fu.fit(model, loss, starts=self.starts, seed=0, progress=False)


class PoissonTenStarts(PoissonOneStart):
    """0.1 counts a channel."""

    sizes = (16384, 1024, 4)
    starts = 10

    def data(self) -> _Problem:
        return _generators.poisson(*self.sizes, seed=0, counts=0.1)


class Equation14OfCounts(_Case):
    """Eq. (14) with Poisson on both detectors; pixels of a side, channels, K."""

    sizes = (128, 1024, 2048, 4)
    starts = 1

    def data(self) -> Any:
        side, first, second, K = self.sizes
        return _generators.counted_joint(side, (first, second), K, seed=0)

    def call(self, data: Any) -> fu.Result:
        eels, edxs = (fu.Dataset(name, X) for name, X in data.items())
        loss = Poisson(eels) + Poisson(edxs) + SquaredNorm("N", 0.02)
        model = SoftlyCoupled(eels, edxs, K=self.sizes[-1])
        return fu.fit(model, loss, starts=self.starts, seed=0, progress=False)
