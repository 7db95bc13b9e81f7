"""Least squares of a large dense map: `nmf` of the benchmarks."""

from __future__ import annotations

import fusion as fu
from benchmarks import generators as _generators
from benchmarks.problems import Problem as _Problem

from .case import Case as _Case


class NmfOneStart(_Case):
    """Pixels, channels, K."""

    sizes = (65536, 1024, 8)
    starts = 1

    def data(self) -> _Problem:
        return _generators.nmf(*self.sizes, seed=0)

    def call(self, data: _Problem) -> fu.Result:
        model, loss = data.ours()
        return fu.fit(model, loss, starts=self.starts, seed=0, progress=False)


class NmfTenStarts(NmfOneStart):
    starts = 10
