"""Blocks are not made of several chunks, as those of large data are not."""

import pytest

from fusion.blocks import partition


@pytest.fixture(autouse=True)
def _a_block_a_chunk(monkeypatch):
    monkeypatch.setattr(partition, "LARGEST", 1)
