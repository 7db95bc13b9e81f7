"""Draws of damaged files: small whole ones of every format, with bytes flipped, cut or swapped."""

from __future__ import annotations

import io
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.trust.arrays import Rng
from benchmarks.trust.outcome import Outcome, judged

ROOM = 4 * 2**30
"""Bytes of memory beside those in use: a header that asks for more is refused by the system."""


def _cube() -> fu.Dataset:
    counts = np.random.default_rng(0).poisson(5.0, (4, 5, 20))
    return fu.Dataset("eels", counts, axes=["y", "x", fu.Axis("energy", offset=100, units="eV")])


@cache
def _result() -> fu.Result:
    data = _cube()
    loss = fu.losses.Frobenius(data)
    return fu.fit(fu.models.NMF(data, 2), loss, starts=1, max_steps=200, progress=False)


def _npz(path: Path) -> None:
    energy = np.linspace(500, 510, 20)
    np.savez(path, data=_cube().numpy(), energy=energy, energy_units="eV", pixel_size=0.5)


def _npz_packed(path: Path) -> None:
    np.savez_compressed(path, a=_cube().numpy(), b=np.ones((3, 4)), note="none")


def _saved(path: Path) -> None:
    _result().save(path)


WHOLE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "npz": (".npz", _npz),
    "packed npz": (".npz", _npz_packed),
    "npy": (".npy", lambda path: np.save(path, _cube().numpy())),
    "result": (".npz", _saved),
    "hspy": (".hspy", _saved),
    "csv": (".csv", _saved),
    "msa": (".msa", _saved),
    "tif": (".tif", _saved),
}
READ = ("npz", "packed npz", "npy", "result", "npz", "npy", "result", "hspy", "msa", "tif")


@cache
def whole(kind: str) -> bytes:
    """The bytes of a whole file."""
    suffix, write = WHOLE[kind]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / f"whole{suffix}")
        return next(iter(sorted(Path(folder).iterdir()))).read_bytes()


def damaged(rng: Rng, kind: str) -> tuple[bytes, str]:
    """The bytes after one harm, and what that was.

    What another library parses is cut, emptied or given a wrong name alone: no headers are forged.
    """
    data, n = bytearray(whole(kind)), len(whole(kind))
    own = kind in ("npz", "packed npz", "npy", "result")
    harm = str(
        rng.choice(["flip", "flip", "cut", "swap", "zero", "none"] if own else ["cut", "none"])
    )
    if harm == "cut":
        at = int(rng.integers(n))
        return bytes(data[:at]), f"cut at {at} of {n}"
    if harm == "flip":
        places = rng.integers(n, size=int(rng.integers(1, 4)))
        for at in places:
            data[at] ^= 1 << int(rng.integers(8))
        return bytes(data), f"flipped at {places.tolist()}"
    at, length = int(rng.integers(n)), int(rng.integers(1, 40))
    if harm == "zero":
        data[at : at + length] = bytes(min(length, n - at))
    elif harm == "swap":
        other = int(rng.integers(n))
        a, b = bytes(data[at : at + length]), bytes(data[other : other + length])
        m = min(len(a), len(b))
        data[at : at + m], data[other : other + m] = b[:m], a[:m]
    return bytes(data), f"{harm} at {at}, {length} bytes"


def outcome(number: int) -> Outcome:
    """The draw of this number, made and judged."""
    rng = np.random.default_rng([3, number])
    kind = READ[number % len(READ)]
    data, harm = damaged(rng, kind)
    suffix = WHOLE[kind][0]
    if rng.random() < 0.1:
        suffix, harm = str(rng.choice([".npz", ".npy", ".xyz", ""])), f"{harm}, another suffix"
    as_result = kind == "result" and rng.random() < 0.8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"drawn{suffix}"
        path.write_bytes(data)
        ask = (lambda: _load_result(path)) if as_result else (lambda: _load(path))
        with _bounded():
            made = judged(number, f"{kind}{suffix}, {harm}", ask, group=kind)
    return made


def _load(path: Path) -> str:
    """Whole numbers of a whole shape, or the file's own refusal."""
    got = fu.load(path)
    for data in got.values() if isinstance(got, dict) else [got]:
        values = data.numpy() if data.entries is None else data.entries.x.numpy()
        if values.dtype.kind not in "buif" or 0 in data.shape:
            return f"{data!r}"
        if len(data.axes) != len(data.shape):
            return f"{len(data.axes)} axes for {data.shape}"
    return ""


def _load_result(path: Path) -> str:
    """The result as it was saved: its arrays carry check sums."""
    got, saved = fu.Result.load(path), _result()
    for name, factor in saved.factors.items():
        if name not in got.factors or not np.array_equal(got.factors[name], factor, equal_nan=True):
            return f"factor {name} is not what was saved"
    return "" if got.loss == saved.loss else f"loss {got.loss}, saved {saved.loss}"


@contextmanager
def _bounded() -> Iterator[None]:
    """Memory up to `ROOM` beside what is in use; nothing is printed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
