"""Counts that a reader holds as lists of events, behind a lazy array or not."""

from __future__ import annotations

from math import prod
from typing import Any

LARGE = 2**26
"""Bytes of an array above which it is kept sparse; below it is easier to handle as it is."""
ENTRY = 16
"""Bytes of an entry of a sparse array."""


def worth_it(array: Any) -> bool:
    """Whether a sparse array is to stay one: it is large, and takes less memory so."""
    dense = prod(array.shape) * array.dtype.itemsize
    return dense > max(LARGE, ENTRY * array.nnz)


def sparse_behind(array: Any) -> Any:
    """The sparse array that a dask array of one block would make dense; None where there is none.

    RosettaSciIO's lazy readers of Velox and JEOL keep all counts in sparse arrays, one a detector,
    that become dense when they are sliced; dask slices each of them once and adds them up. Here
    they are added up unsliced.
    """
    if hasattr(array, "nnz"):
        return array
    if not is_sparse_behind(array):
        return None
    from dask.core import flatten
    from dask.local import get_sync

    graph = dict(array.dask)
    sources = _sources(graph)
    for key in list(graph):
        source = f"original-{key[0]}" if isinstance(key, tuple) else ""
        if source in sources:
            graph[key] = _value(graph[source])
    found: Any = get_sync(graph, next(iter(flatten(array.__dask_keys__()))))
    fits = hasattr(found, "nnz") and found.shape == array.shape and found.dtype == array.dtype
    return found if fits else None


def is_sparse_behind(array: Any) -> bool:
    """Whether all that a dask array of one block is made of is sparse; nothing is computed."""
    if not hasattr(array, "dask") or array.npartitions != 1:
        return False
    graph = dict(array.dask)
    sources = _sources(graph)
    return bool(sources) and all(hasattr(_value(graph[key]), "nnz") for key in sources)


def _sources(graph: dict[Any, Any]) -> set[str]:
    """Keys of the arrays that dask was given."""
    return {key for key in graph if isinstance(key, str) and key.startswith("original-")}


def _value(node: Any) -> Any:
    """What dask has at a place of its graph, in its newer wrapping or without."""
    return getattr(node, "value", node)
