"""A pass over the data: a function of every block, on the threads of this process or on a cluster.

One block is one task of one thread. Where a `dask.distributed` client is active the blocks are read
and worked on by its workers; else threads of this process each take the next block.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.memory import HandsBack, hand_back
from fusion.algebra.threads import limited_threads
from fusion.algebra.waiting import say
from fusion.blocks.partition import Block
from fusion.blocks.pieces import Piece, UnusableValues, joined, let_go
from fusion.data.dataset import Dataset

Task = Callable[..., Any]
"""task(shared…, datasets by name, arguments of this block…): a function of a module."""
RETRIES = 2
"""Times that a block is tried again whose store could not be read or whose worker is gone."""
BACK = HandsBack(every=2**27)
"""Of this process, a worker's as well."""


@dataclass
class Traffic:
    """What was read.

    Attributes:
        passes: over all blocks; bytes: as they are stored; seconds: spent in them.
    """

    passes: int = 0
    bytes: int = 0
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """ "5 passes, 80 GB at 1.2 GB/s"."""
        rate = self.bytes / max(self.seconds, 1e-9)
        return f"{self.passes} passes over {self.bytes / max(self.passes, 1) / 1e9:.3g} GB" + (
            f" at {rate / 1e9:.2g} GB/s" if self.bytes else ""
        )


class Passes:
    """Runs passes over the same blocks.

    Args:
        blocks: all of them.
        threads: of this process, where there is no cluster.
    """

    def __init__(self, blocks: Sequence[Block], threads: int) -> None:
        self.blocks, self.threads, self.traffic = blocks, threads, Traffic()
        self.client = _active_client()

    @property
    def where(self) -> str:
        """Who works, in words."""
        if self.client is None:
            return f"{self.threads} thread{'s' * (self.threads != 1)}"
        n = len(self.client.scheduler_info(n_workers=-1)["workers"])
        return f"{n} worker{'s' * (n != 1)} of dask.distributed"

    def run(
        self, task: Task, shared: tuple[Any, ...], own: Callable[[Block], tuple[Any, ...]]
    ) -> Iterator[tuple[Block, Any]]:
        """(block, what the task makes of it), as they are done.

        Args:
            task: called as task(*shared, datasets, *own(block)).
            shared: what is the same for all blocks.
            own: what each block needs beside its data.

        Raises:
            ValueError: if a block cannot be read: which one, and how to leave it out.
        """
        begun, done, read = time.monotonic(), 0, 0
        total = sum(block.bytes for block in self.blocks)
        self.traffic.passes += 1
        runner = self._on_cluster if self.client is not None else self._on_threads
        for block, made in runner(task, shared, own):
            done, read = done + 1, read + block.bytes
            BACK.after(block.bytes)
            self._say(done, read, total, time.monotonic() - begun)
            yield block, made
        hand_back()
        self.traffic.bytes += read
        self.traffic.seconds += time.monotonic() - begun

    def _say(self, done: int, read: int, total: int, seconds: float) -> None:
        left = seconds * (total - read) / max(read, 1)
        say(
            lambda: (
                f"pass {self.traffic.passes}, block {done} of {len(self.blocks)}, "
                f"{read / max(seconds, 1e-9) / 1e6:.3g} MB/s, {left:.0f} s left"
            )
        )

    def _on_threads(
        self, task: Task, shared: tuple[Any, ...], own: Callable[[Block], tuple[Any, ...]]
    ) -> Iterator[tuple[Block, Any]]:
        waiting_for: dict[Future[Any], Block] = {}
        todo = iter(self.blocks)
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for block in todo:
                    waiting_for[
                        pool.submit(_read_and_do, task, shared, block.pieces, own(block))
                    ] = block
                    if len(waiting_for) > self.threads:
                        yield from _first(waiting_for)
                while waiting_for:
                    yield from _first(waiting_for)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _on_cluster(
        self, task: Task, shared: tuple[Any, ...], own: Callable[[Block], tuple[Any, ...]]
    ) -> Iterator[tuple[Block, Any]]:
        left = list(self.blocks)
        for again in range(RETRIES + 1):
            lost: list[Block] = []
            yield from self._send(left, lost, task, shared, own, last=again == RETRIES)
            if not lost:
                return
            left = lost

    def _send(
        self,
        blocks: Sequence[Block],
        lost: list[Block],
        task: Task,
        shared: tuple[Any, ...],
        own: Callable[[Block], tuple[Any, ...]],
        last: bool,
    ) -> Iterator[tuple[Block, Any]]:
        """What the workers make of the blocks; those whose tasks were lost are added to `lost`.

        A scheduler cancels what needs data that only a worker held which is gone: it cannot make
        them again, we can.
        """
        from distributed import as_completed

        client = self.client
        sent = client.scatter(shared, broadcast=True, hash=False)
        graph, keys, name = {}, [], f"block-{uuid4().hex}"
        for block in blocks:
            lazy = [piece for piece in block.pieces if piece.lazy]
            for piece in lazy:
                graph.update(piece.tasks[0])
            joins = [piece.join if piece.lazy else None for piece in block.pieces]
            pieces = [piece.sent() for piece in block.pieces]
            parcel = _Parcel((task, pieces, joins, own(block)))
            keys.append((name, block.number))
            graph[keys[-1]] = (_fill_and_do, sent, [piece.tasks[1] for piece in lazy], parcel)
        futures = client.get(graph, keys, sync=False, retries=RETRIES)
        block_of = {f.key: b for f, b in zip(futures, blocks, strict=True)}
        try:
            together = as_completed(futures, with_results=True, raise_errors=False)
            for future, made in together:  # results are fetched while others are waited for
                block = block_of[future.key]
                if future.status != "finished":
                    error = _error_of(future)
                    if isinstance(error, CancelledError) and not last:
                        lost.append(block)
                        continue
                    raise _unreadable(error, block.pieces) from error
                yield block, made
                future.release()
        finally:
            client.cancel(futures)


def _error_of(future: Any) -> Exception:
    """Why a task of a cluster gave nothing."""
    try:
        future.result()
    except Exception as error:
        return error
    return CancelledError(future.key)


def _first(waiting_for: dict[Future[Any], Block]) -> Iterator[tuple[Block, Any]]:
    """What is done by now, at least one."""
    done, _ = wait(waiting_for, return_when=FIRST_COMPLETED)
    for future in done:
        block = waiting_for.pop(future)
        yield block, future.result()


def _read_and_do(
    task: Task, shared: tuple[Any, ...], pieces: Sequence[Piece], own: tuple[Any, ...]
) -> Any:
    """The task on a block that is read here, by one thread of ours and of the libraries."""
    with limited_threads(1):
        datasets = {piece.name: _read(piece) for piece in pieces}
        try:
            return task(*shared, datasets, *own)
        finally:
            let_go(datasets.values())


def _read(piece: Piece) -> Dataset:
    try:
        return piece.read()
    except Exception as error:
        raise _unreadable(error, [piece]) from error


class _Parcel:
    """What goes to a worker as it is: dask looks into lists and data classes for its own."""

    def __init__(
        self, content: tuple[Task, Sequence[Piece], Sequence[Any], tuple[Any, ...]]
    ) -> None:
        self.content = content

    def __dask_tokenize__(self) -> str:
        """No two are alike: dask would send each to itself, and back, to find a name for it."""
        return uuid4().hex


def _fill_and_do(shared: tuple[Any, ...], read: Sequence[Any], parcel: _Parcel) -> Any:
    """The task on a block whose lazy pieces a cluster has read."""
    task, pieces, joins, own = parcel.content
    chunks, size = iter(read), 0
    try:
        with limited_threads(1):
            datasets = {}
            for piece, join in zip(pieces, joins, strict=True):
                if piece.array is None:
                    array = joined(next(chunks), join)
                    size += getattr(array, "nbytes", 0)
                    datasets[piece.name] = piece.filled(array)
                else:
                    size += piece.bytes
                    datasets[piece.name] = piece.read()
            try:
                return task(*shared, datasets, *own)
            finally:
                let_go(datasets.values())
    finally:
        BACK.after(size)


def _unreadable(error: Exception, pieces: Sequence[Piece]) -> Exception:
    """An error of a block as users read it: which one, and how to leave it out."""
    if isinstance(error, UnusableValues):
        return ValueError(str(error))
    told = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {told[0][:200]}" if told else type(error).__name__
    box = ", ".join(f"{part.start}:{part.stop}" for part in pieces[0].box)
    shape = tuple(axis.size for axis in pieces[0].scan)
    return ValueError(
        f"`fit`, block by block: {'; '.join(piece.place for piece in pieces)} could not be read or "
        f"worked on ({line}): mend the store, or leave these pixels out, they are not read then: "
        f"`mask = numpy.zeros({shape}, bool); mask[{box}] = True; data.masked(mask)`."
    )


def threads_of_cluster() -> int:
    """Of all workers together; 0 where there is no cluster."""
    client = _active_client()
    if client is None:
        return 0
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(worker["nthreads"] for worker in workers)


def _active_client() -> Any:
    """The client of dask.distributed that is active here; None where there is none."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.get_client()
    except ValueError:
        return None


def shared_rows(
    values: Mapping[str, Tensor], block: Block, names: Mapping[str, Axes]
) -> dict[str, Tensor]:
    """Rows of the factors of a block, as copies of their own: a slice would carry the whole.

    Args:
        values: of the factors over pixels; names: these, with the scans that they are of.
    """
    parts = {n: block.part_of(values[n], scan) for n, scan in names.items() if scan in block.boxes}
    return {
        n: part.clone(memory_format=torch.contiguous_format).flatten(0, len(names[n]) - 1)
        for n, part in parts.items()
    }
