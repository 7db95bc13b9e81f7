"""Every way to start keeps to the contract."""

import pytest

import fusion as fu
from fusion.testing import InitContract

STARTS = [fu.Random(), fu.Current(), fu.NNDSVD(), fu.SPA(), fu.VCA(), fu.NFINDR()]
STARTS += [fu.VCA(points=fu.SSS(samples=200)), fu.PureMaps(fu.SPA())]


class TestStarts(InitContract):
    @pytest.fixture(autouse=True, params=STARTS, ids=str)
    def way(self, request):
        self.start = request.param

    def make(self):
        return self.start
