"""What models keep of plain tensors while derivatives along others are followed."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.func import jvp

from fusion.language.remembered import Remembered, remembering

pytestmark = pytest.mark.filterwarnings(  # torch loads its rules of forward derivatives so
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)


def made_of(kept, calls, x):
    def make():
        calls.append(1)
        return x.square()

    return kept.of((x,), make)


def test_the_very_same_tensors_give_what_they_gave_and_others_do_not():
    kept, calls, x = Remembered(), [], torch.tensor([2.0])
    with remembering():
        first = made_of(kept, calls, x)
    assert made_of(kept, calls, x) is not None
    assert len(calls) == 1
    assert torch.equal(made_of(kept, calls, torch.tensor([3.0])), torch.tensor([9.0]))
    assert torch.equal(made_of(kept, calls, x), first)
    assert len(calls) == 2


def test_nothing_is_kept_elsewhere_copied_or_stored():
    kept, calls, x = Remembered(), [], torch.tensor([2.0])
    made_of(kept, calls, x)
    made_of(kept, calls, x)
    assert len(calls) == 2
    with remembering():
        made_of(kept, calls, x)
    for other in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        made_of(other, calls, x)
    assert len(calls) == 5


def test_a_derivative_along_the_input_is_followed_though_its_value_is_kept():
    kept, calls, x = Remembered(), [], torch.tensor([2.0])
    with remembering():
        made_of(kept, calls, x)
    value, slope = jvp(lambda x: made_of(kept, calls, x), (x,), (torch.tensor([1.0]),))
    assert float(value) == 4.0
    assert float(slope) == 4.0


def test_equal_values_are_told_among_plain_tensors_alone_and_by_what_they_were_then():
    kept, calls, x = Remembered(), [], torch.tensor([2.0])
    with remembering():
        made_of(kept, calls, x)
        assert float(made_of(kept, calls, torch.tensor([2.0]))) == 4.0
        assert len(calls) == 1
        y = torch.tensor([2.0])
        made_of(kept, calls, y)
        y += 1  # what was kept is of 2 still
        assert float(made_of(kept, calls, torch.tensor([3.0]))) == 9.0
        assert len(calls) == 2
    made_of(kept, calls, torch.tensor([3.0]))
    assert len(calls) == 3
