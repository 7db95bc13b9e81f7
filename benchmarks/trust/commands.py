"""Draws of command lines: every command, whole and damaged files, right and wrong options."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from benchmarks.trust.arrays import Rng
from benchmarks.trust.files import damaged, whole
from benchmarks.trust.outcome import Outcome, Refused, is_own, judged
from fusion.cli import app

LINES = 8
"""Most lines that a complaint may take."""
COMMANDS = ("info", "rank", "unmix", "fuse", "plot", "unmix")
OPTIONS: dict[str, tuple[tuple[str | None, ...], tuple[str, ...]]] = {
    "-k": (("1", "2", "2", "3"), ("0", "99", "-1", "two", "2.5", "")),
    "--signal": (("eels", "EDS"), ("nothing", "")),
    "--energy": (("2:12", "5:", ":"), ("900:1000", "12:2", "a:b", "5", "nan:nan", "1:2:3")),
    "--bin": (("1", "2", "energy=2", "channel=2", "y=2"), ("7", "y=0", "q=2", "two", "-2")),
    "--background-window": (("1:5", "2:8"), ("0:30", "900:950", "x")),
    "--variance": (
        ("none", "estimate", "2.5", "eels=3", "v.npy"),
        ("0", "-1", "nan", "inf", "mask.npy"),
    ),
    "--mask": (
        ("mask.npy", "pixels.npy"),
        ("all.npy", "cut.npz", "empty.npy", "absent.npy", "two.npz", "v.npy"),
    ),
    "--loss": (("auto", "frobenius", "gaussian", "poisson"), ("other",)),
    "--orthogonality": (("0", "0.1", "1"), ("2", "nan")),
    "--ard": ((None,), ()),
    "--starts": (("1", "2"), ("0", "x")),
    "--seed": (("0", "7", "-5"), ("1e3",)),
    "--device": (("cpu",), ("cuda", "abacus")),
    "--max-seconds": (("2", "0.001"), ("0", "nan", "inf", "-1")),
    "--json": ((None,), ()),
    "--quiet": ((None,), ()),
    "--share": (("maps", "spectra"), ("both",)),
    "--nonsense": ((), ("1",)),
}
"""What an option may be given: values that mean something, and others."""
WRONG = 0.1
"""Share of options with a value that means nothing."""
READING = ("--signal", "--energy", "--bin", "--background-window", "--variance", "--mask")
FITTING = ("--loss", "--orthogonality", "--ard", "--starts", "--seed", "--device", "--max-seconds")
OF = {
    "info": ("--signal", "--json", "--nonsense"),
    "rank": (*READING, "--seed", "--json"),
    "unmix": (*READING, *FITTING, "--json", "--quiet", "--nonsense"),
    "fuse": (*READING, *FITTING, "--share", "--json", "--quiet"),
    "plot": ("--signal",),
}
PICTURES = ("f.png", "f.svg", "f.html", "f.xyz", "absent/f.png")
FILES = ("map.npz", "map.npz", "map.npy", "counts.npz", "two.npz", "line.npy")
WRONG_FILES = (
    *("cut.npz", "empty.npy", "absent.npz", "zeros.npy", "nan.npy", "text.npz", "."),
    *("one.npy", "result.npz"),
)


def _value(rng: Rng, option: str) -> list[str]:
    right, wrong = OPTIONS[option]
    chosen = wrong if not right or (wrong and rng.random() < WRONG) else right
    value = chosen[rng.integers(len(chosen))]
    return [option] if value is None else [option, value]


def line(rng: Rng, number: int) -> list[str]:
    """The arguments of a call."""
    command = COMMANDS[number % len(COMMANDS)]
    right = rng.random() < 0.85
    many = 2 if command == "fuse" and rng.random() < 0.5 else 1
    files = [str(rng.choice(FILES if right else WRONG_FILES)) for _ in range(many)]
    if command == "fuse" and right:
        files = ["two.npz"] if many == 1 else ["counts.npz", "map.npz"]
    if command == "plot" and rng.random() < 0.3:
        files = ["result.npz"]
    arguments = [command, *files]
    if files == ["two.npz"] and command != "fuse":
        arguments += ["--signal", "eels"]
    fits = command in ("unmix", "fuse")
    if fits:
        arguments += _value(rng, "-k") if rng.random() < 0.97 else []
        arguments += ["--starts", "2", "--max-seconds", "2"]
    if command == "rank":
        arguments += ["--quick"]  # what fits is drawn with `unmix`
    options = [o for o in OF[command] if o != "--nonsense" or rng.random() < WRONG]
    options = [o for o in options if o != "--signal" or rng.random() < WRONG]
    for option in rng.permutation(options)[: int(rng.integers(0, 4))]:
        arguments += _value(rng, str(option))
    places = ("out", "absent/deep/out", "map.npz") if fits else PICTURES
    if fits or command == "plot":
        arguments += ["-o", places[0] if rng.random() < 0.7 else str(rng.choice(places))]
    return arguments


def outcome(number: int) -> Outcome:
    """The draw of this number, made and judged."""
    rng = np.random.default_rng([4, number])
    arguments = line(rng, number)
    with _folder(rng):
        return judged(
            number, "sdfusion " + " ".join(arguments), lambda: _run(arguments), group=arguments[0]
        )


def _run(arguments: list[str]) -> str:
    """What is wrong with status and words of a call; its refusals are raised."""
    out, err = io.StringIO(), io.StringIO()
    raised: list[Exception] = []
    with redirect_stdout(out), redirect_stderr(err), _listening(raised):
        status = app.main(arguments)
    said = err.getvalue()
    if status not in (0, 1, 2, 3):
        return f"status {status}"
    if raised and not is_own(raised[0]):
        return f"status {status}, foreign {type(raised[0]).__name__}: {raised[0]}"
    if "Traceback" in said or (status in (1, 2) and len(_lines(said)) > LINES):
        return f"status {status}, {len(_lines(said))} lines: {said[-160:]}"
    if status == 1 and not said.strip():
        return "status 1 without a word"
    if status in (0, 3) and "--json" in arguments:
        json.loads(out.getvalue(), parse_constant=lambda name: _not_json(name))
    if status in (1, 2):
        raise Refused(said)
    return ""


def _not_json(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\r", "\n").splitlines() if line.strip()]


@contextmanager
def _listening(raised: list[Exception]) -> Iterator[None]:
    """Keep the exception that the command line turns into a line."""
    plain = app.cli.main

    def main(*args: object, **options: object) -> object:
        try:
            return plain(*args, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]
        except Exception as error:
            if not type(error).__module__.startswith("click"):
                raised.append(error)
            raise

    app.cli.main = main  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        del app.cli.main


@contextmanager
def _folder(rng: Rng) -> Iterator[None]:
    """A folder with the files that the draws name, and in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            _write_files(rng)
            yield
        finally:
            os.chdir(before)


def _write_files(rng: Rng) -> None:
    shape = (6, 7, 20)
    own = np.random.default_rng(0)
    S = np.stack([np.exp(-0.5 * ((np.arange(20) - c) / 3) ** 2) for c in (5, 13)])
    mean = 20 * own.dirichlet([0.5, 0.5], shape[:2]) @ S + 1
    np.savez(
        "map.npz", data=mean + own.normal(0, 0.5, shape), energy=np.arange(20.0), energy_units="eV"
    )
    np.save("map.npy", mean)
    np.savez("counts.npz", data=own.poisson(mean))
    np.savez("two.npz", eels=own.poisson(mean), eds=own.poisson(0.3, (6, 7, 9)))
    np.save("line.npy", own.poisson(mean[0]))
    np.save("mask.npy", own.random(shape) < 0.1)
    np.save("pixels.npy", own.random(shape[:2]) < 0.2)
    np.save("all.npy", np.ones(shape, bool))
    np.save("v.npy", 0.5 + own.random(shape))
    np.save("zeros.npy", np.zeros(shape))
    np.save("nan.npy", np.where(own.random(shape) < 0.1, np.nan, mean))
    np.save("one.npy", np.ones((1, 1)))
    Path("result.npz").write_bytes(whole("result"))
    Path("cut.npz").write_bytes(
        damaged(rng, "npz")[0] if rng.random() < 0.5 else whole("npz")[:200]
    )
    Path("empty.npy").write_bytes(b"")
    Path("text.npz").write_text("not an archive")
