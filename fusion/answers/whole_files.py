"""Files that are whole or not there, whatever ends the process that writes them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None
PART = ".part"
"""Ending of what is not whole yet."""


def lock(handle: int) -> bool:
    """Whether the open file is this process's now; it is until closed, or the process ends.

    Where the file system knows no locks, it is said to be.
    """
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            os.lseek(handle, 1 << 20, os.SEEK_SET)  # beyond what others may want to read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file to write: it takes the place of the old one at the end, or leaves no trace.

    Raises:
        OSError: if it cannot be written; with the path.
    """
    with _told(path):
        clear_leftovers(path)
        handle, name = tempfile.mkstemp(
            dir=path.absolute().parent, prefix=f".{path.name}.", suffix=PART
        )
        try:
            with in_use(Path(name)):
                with os.fdopen(handle, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())  # a disk may only say now that it is full
                os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
                os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name in a folder beside, to write to: what is there takes the place of the path at last.

    Raises:
        OSError: if it cannot be written; with the path.
    """
    with _told(path):
        clear_leftovers(path)
        beside = {"dir": path.absolute().parent, "prefix": f".{path.name}.", "suffix": PART}
        with tempfile.TemporaryDirectory(**beside) as folder, in_use(Path(folder)):
            temporary = Path(folder) / path.name
            yield temporary
            if path.is_dir():
                path.rename(Path(folder) / "before")
            os.replace(temporary, path)


def clear_leftovers(path: Path) -> None:
    """Remove what processes that were killed have left of this file."""
    for part in path.absolute().parent.glob(f".{escape(path.name)}.*{PART}"):
        with suppress(OSError):  # another process was quicker, or has it open
            if _left_behind(part):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


@contextmanager
def in_use(part: Path) -> Iterator[None]:
    """No other process takes this file or folder for left behind."""
    if fcntl is None:
        yield
        return
    handle = os.open(part, os.O_RDONLY)
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)


def _left_behind(part: Path) -> bool:
    """Whether no living process writes it."""
    if fcntl is None:
        return part.is_file()  # what of a folder is closed could be removed from under another
    handle = os.open(part, os.O_RDONLY)
    try:
        return lock(handle)
    finally:
        os.close(handle)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the disk with the path that was to be written."""
    try:
        yield
    except OSError as error:
        told = type(error)(
            f"`save({str(path)!r})`: cannot be written ({error.strerror or error}): make room, or "
            "give another folder; what was there is as it was."
        )
        told.errno = error.errno
        raise told from error


def _umask() -> int:
    mask = os.umask(0o022)  # it can only be read by setting it
    os.umask(mask)
    return mask
