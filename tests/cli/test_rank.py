"""`sdfusion rank`: a table, a picture, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fusion.cli import main
from tests.helpers.planted_ranks import data


@pytest.mark.drawn
def test_the_command_prints_a_table_and_draws(tmp_path, capsys):
    file, picture = tmp_path / "a.npy", tmp_path / "rank.png"
    np.save(file, data("many counts", 2).numpy())
    assert main(["rank", str(file), "--quick", "-o", str(picture)]) == 0
    assert "2 components" in capsys.readouterr().out
    assert picture.stat().st_size > 1000
    assert main(["rank", str(file), "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recommended"] == 2
