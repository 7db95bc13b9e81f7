"""The folder of an answer: one process writes into it, and all of an answer is there or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusion.answers.whole_files import lock

LOCK, PART, READY = ".sdfusion.lock", ".sdfusion.part", ".sdfusion.ready"
ANSWER = ("result.npz", "summary.txt", "figure.png", "spectra.csv", "report.html")
"""Files of an answer."""
COMPOSITION = ("composition.csv", "element_maps.npz", "element_maps.tif")
FILES = (*ANSWER, *COMPOSITION, "thickness.npz", "scattering.png")
"""Those of all answers, compositions among them; what a new one lacks goes with the former."""


@contextmanager
def answer_folder(folder: Path) -> Iterator[None]:
    """The folder is made, and this process's alone; what a killed one has left is cleared.

    Raises:
        OSError: if it cannot be written, or another process writes into it.
    """
    _check_writable(folder)
    with _locked(folder):
        if (folder / READY).is_dir():
            _take_place(folder)
        shutil.rmtree(folder / PART, ignore_errors=True)
        yield


@contextmanager
def whole_answer(folder: Path) -> Iterator[Path]:
    """Where the files of an answer are written: at the end they take the place of the former.

    Raises:
        OSError: if they cannot be written; the former answer is as it was.
    """
    part = folder / PART
    try:
        part.mkdir()
        yield part
        for name in FILES:
            (part / name).touch()  # what is empty stands for none
        os.replace(part, folder / READY)  # from here on the new answer is what is found
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error.__cause__ or error
        raise OSError(
            f"-o {folder}: cannot be written ({reason}): make room, or give another folder; what "
            "was there is as it was."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _take_place(folder)


def _take_place(folder: Path) -> None:
    """The files that are ready in the place of the former, those that are no more removed.

    What a kill interrupts here, the next command for the folder does to its end.
    """
    ready = folder / READY
    for file in ready.iterdir():
        if file.stat().st_size:
            os.replace(file, folder / file.name)
        else:
            (folder / file.name).unlink(missing_ok=True)
            file.unlink()
    ready.rmdir()


def _check_writable(folder: Path) -> None:
    """Make the folder, and complain now if nothing can be written into it."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"-o {folder}: is a file: give a folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"-o {folder}: cannot be written ({error.strerror}): give another.") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A file in the folder is locked, with the number of this process; it goes with the lock."""
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not lock(handle):
            holder = os.read(handle, 99).decode(errors="replace").strip() or "another"
            os.close(handle)
            raise OSError(
                f"-o {folder}: process {holder} is writing into it: wait for it, or give another "
                "folder."
            )
        if _same_file(handle, path):
            break
        os.close(handle)  # the process before has just removed it
    try:
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True) if os.name == "posix" else None
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
