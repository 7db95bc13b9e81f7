"""What every step before a fit has in common: the original stays, the history grows."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.prepared_data import FULL, data, poisson_counts

STEPS = {
    "crop": lambda d: d.crop(energy=(101, 105)),
    "bin": lambda d: d.bin(x=2),
    "subtract_background": lambda d: d.subtract_background((100, 104)),
    "remove_spikes": lambda d: d.remove_spikes(),
    "align": lambda d: d.align(shifts=np.full(FULL[:2], 0.5)),
    "normalise": lambda d: d.normalise(),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_a_step_leaves_the_original_and_appends_itself_to_the_history(step, kind):
    array = poisson_counts(np.full(FULL, 30.0)).astype(kind)
    array[1, 2, 5] = 250
    before, variance = array.copy(), np.full(12, 3.0)
    given = data(array, variance=variance, mask=np.arange(12) == 3, history=["read"])
    new = STEPS[step](given)
    assert (array == before).all()
    assert (given.numpy() == before).all()
    assert given.shape == FULL
    assert given.history == ("read",)
    assert (given.variance.numpy() == 3).all()
    assert new.history[0] == "read"
    assert len(new.history) == 2
    assert new.history[1].startswith(step + "(")
    assert (new.name, new.metadata) == ("eels", {"kV": 300})
    assert [a.name for a in new.axes] == ["y", "x", "energy loss"]
    assert [a.units for a in new.axes] == ["nm", "nm", "eV"]
    new.check()
    assert new.matrix.double().isfinite().all()


def test_the_history_is_in_the_order_of_the_steps():
    given = data()
    order = ["crop", "subtract_background", "align", "remove_spikes", "bin", "normalise"]
    for step in order:
        given = STEPS[step](given)
    assert [line.split("(")[0] for line in given.history] == order
