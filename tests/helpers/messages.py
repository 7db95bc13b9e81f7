"""What the package says when something is wrong."""

from __future__ import annotations

import pytest


def fails_in_one_line(call, *words: str) -> None:
    """The call fails with one line that names these words."""
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("`")
    assert all(word in text for word in words), text
