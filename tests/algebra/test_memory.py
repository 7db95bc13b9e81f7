"""Memory that does not suffice is told in one line, with what would fit; what is free goes back."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra import memory
from fusion.algebra.calls import checked_call
from fusion.algebra.memory import asked_bytes


def test_what_numpy_and_torch_asked_for_is_read_from_their_errors():
    with pytest.raises(MemoryError) as numpy_error:
        np.empty((2**20, 2**30))
    assert asked_bytes(str(numpy_error.value)) == 2**53
    with pytest.raises(RuntimeError) as torch_error:
        torch.empty(2**50)
    assert asked_bytes(str(torch_error.value)) == 2**52


@pytest.mark.parametrize("ask", [lambda: np.empty(2**50), lambda: torch.empty(2**51)])
def test_a_public_call_says_what_is_needed_and_what_would_fit(ask):
    @checked_call
    def look():
        return ask()

    with pytest.raises(ValueError, match=r"look`: 9.01e\+06 GB more needed.*crop or bin.*lazily"):
        look()


def test_other_errors_of_a_call_pass_as_they_are():
    @checked_call
    def look():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match=r"^something else$"):
        look()


def test_a_damaged_header_is_not_taken_for_a_file_that_is_too_large(tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, np.ones((4, 5)))
    content = path.read_bytes().replace(b"(4, 5), }", b"(4, 5" + b"0" * 15 + b"), }")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cut off or damaged"):
        fu.load(path)


def test_free_memory_is_given_back_each_time_that_so_much_was_read(monkeypatch):
    given, counts = [], []
    monkeypatch.setattr(memory, "hand_back", lambda: given.append(1))
    back = memory.HandsBack(every=100)
    for size in (60, 60, 60, 60, 250, 10):
        back.after(size)
        counts.append(len(given))
    assert counts == [0, 1, 1, 2, 3, 3]
