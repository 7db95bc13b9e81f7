"""What is asked before and after a fit, and the demonstration of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

import fusion as fu
from fusion.losses import Poisson
from fusion.models import NMF

from .case import Case as _Case


class Rank(_Case):
    """How many components of the core-shell particles."""

    def data(self) -> Any:
        return self.read("nist_edxs/FePt_core_shell")["data"]

    def call(self, data: Any) -> Any:
        return fu.rank(fu.Dataset("counts", data))

    def loss(self, made: Any) -> float:
        """No loss: the number, which should stay."""
        return float(made.recommended)


class Ambiguity(Rank):
    """How far other answers go; the fit before it is not timed."""

    def data(self) -> fu.Result:
        counts = fu.Dataset("counts", super().data())
        return fu.fit(NMF(counts, 3), Poisson(counts), progress=False)

    def call(self, data: fu.Result) -> Any:
        return fu.ambiguity(data)

    def loss(self, made: Any) -> float:
        """No loss: the mean width of the bands of spectra, the larger the more was found."""
        (name,) = made.spectra
        return float(made.width[name].mean())


class Demo(_Case):
    """`sdfusion demo` in a process of its own, its start included."""

    def data(self) -> None:
        """It draws its own."""

    def call(self, data: None) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "fusion", "demo", "--json", "-o", folder]
            said = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(said.stdout)

    def loss(self, made: dict[str, Any]) -> float:
        return float(made["loss"])
