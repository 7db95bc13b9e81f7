"""Messages in the words of the command line."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.cli.words import cautions_in_lines, command_words
from tests.helpers.commands import fails, run


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("3 values are NaN: mask=~numpy.isfinite(array).",
         "3 values are NaN: --mask FILE, a numpy.save of ~numpy.isfinite(array)."),
        ("leave them out, mask=…, or not", "leave them out, --mask FILE, or not"),
        ("crop(energy=(0.08, None)), --energy 0.08: leaves it out", "--energy 0.08: leaves it out"),
        ("crop(energy_loss=(None, 500))", "--energy :500"),
        ("`eels.crop(wavelength=(400, 500))`: no", "`--wavelength 400:500`: no"),
        ("by 4, crop(energy=slice(0, 2040)).bin(energy=4), if",
         "by 4, --channels 0:2039 --bin energy=4, if"),
        ("bin(y=2, x=2).", "--bin y=2 --bin x=2."),
        ("masked(data.numpy() >= 9), on the command line --mask FILE.",
         "--mask FILE, a numpy.save of data.numpy() >= 9."),
        ("give variance=… (on the command line --variance adf=…).", "give --variance adf=…."),
        ("Give variance=… if you know it (on the command line --variance adf=…).",
         "Give --variance adf=… if you know it."),
        ("here 1: give variance=… instead", "here 1: give --variance V instead"),
        ("noisy, `eels = eels.estimate_variance()`, or", "noisy, --variance eels=estimate, or"),
        ("Counts: use Poisson, or Frobenius after estimate_variance().",
         "Counts: --loss poisson, or --loss frobenius with --variance estimate."),
        ("Unknown: use Frobenius, with variance=… if",
         "Unknown: --loss frobenius, with --variance V if"),
        ("give signal='eels (1–2 eV)' or", 'give --signal "eels (1–2 eV)" or'),
        ("`load('a.bcf', index=…)`: the reader", "a.bcf: --reader index: the reader"),
        ("`load('a.h5', dataset=…)`: none", "a.h5: --dataset: none"),
        ("Go on with `fu.fit(model, loss, init=result, starts=1)`.",
         "Allow more time, --max-seconds."),
        ("crop(y=slice(2, 60))", "crop(y=slice(2, 60))"),
        ("Frobenius misjudges so few", "Frobenius misjudges so few"),
    ],
)  # fmt: skip
def test_arguments_and_methods_are_options(python, command):
    assert command_words(python) == command
    assert command_words(command) == command


def test_nan_in_a_file_names_the_option_mask(tmp_path, capsys):
    cube = np.random.default_rng(0).gamma(3.0, size=(5, 6, 12))
    cube[1, 2, 3] = np.nan
    np.save(tmp_path / "a.npy", cube)
    said = fails(capsys, "unmix", tmp_path / "a.npy", "-k", 2, "-o", tmp_path / "out")
    assert "--mask FILE" in said
    assert "mask=" not in said
    assert run("info", tmp_path / "a.npy") == 0
    said = capsys.readouterr().out
    assert "--mask FILE" in said
    assert "mask=" not in said


def test_a_caution_is_a_line_on_standard_error_and_said_once(capsys):
    with cautions_in_lines():
        for _ in range(2):
            warnings.warn("too few:\n give variance=…", fu.NoiseWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: too few: give --variance V\n"


def test_memory_that_does_not_suffice_is_told_in_a_line(tmp_path, capsys, monkeypatch):
    def none_left(*_, **__):
        raise MemoryError

    monkeypatch.setattr("fusion.cli.fitting.prepared", none_left)
    said = fails(capsys, "unmix", "a.npy", "-k", 2, "-o", tmp_path)
    assert "out of memory" in said
    assert "--bin" in said
