"""On workers of dask.distributed the answer is that of threads, whatever becomes of a worker."""

from __future__ import annotations

import os
import signal
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import torch

import fusion as fu
from fusion.blocks import partition
from fusion.blocks.passes import Passes
from fusion.losses import Frobenius, Gaussian, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.block_data import SCAN, K, by_blocks, counted, lazy, noisy, planted

distributed = pytest.importorskip("distributed")
C, S = planted()
CUBE, COUNTS = noisy(C, S), counted(C, S + 0.02)
THREADS = "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"


def import_once() -> None:
    """The libraries that four workers need are imported by the server that they are forked from."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        context = distributed.utils.get_mp_context()  # dask's own preload is set here, once
    needed = "distributed", "dask.array", "sparse", "fusion.blocks.fit_by_blocks", "fusion.models"
    context.set_forkserver_preload(list(needed))


@pytest.fixture(scope="module")
def cluster():
    """Two processes of one thread, for all tests here; they leave the settings as they were."""
    before = {name: os.environ.get(name) for name in THREADS}
    threads = torch.get_num_threads()
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    anywhere = "127.0.0.1:0"  # None would take a port that another cluster here may have
    import_once()
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(dashboard_address=anywhere, **options) as started,
    ):
        yield started
    torch.set_num_threads(threads)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as active:
        active.wait_for_workers(2, timeout=60)
        yield active


def squares(chunks=(7, 12)):
    data = fu.Dataset("eels", lazy(CUBE, chunks))
    return NMF(data, K), Gaussian(data)


def counts():
    data = fu.Dataset("edxs", lazy(COUNTS, (10, 8)))
    return NMF(data, K), Poisson(data)


def two():
    eels = fu.Dataset("eels", lazy(CUBE, (10, 12)))
    edxs = fu.Dataset("edxs", lazy(COUNTS, (7, 24)))
    return SharedMaps(eels, edxs, K=K), Gaussian(eels) + Gaussian(edxs)


def on_threads(problem, **options) -> fu.Result:
    client = distributed.get_client()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fusion.blocks.passes._active_client", lambda: None)
        with warnings.catch_warnings():  # earlier versions of dask warn of threads beside a client
            warnings.simplefilter("ignore", UserWarning)
            result = by_blocks(*problem(), **options)
    assert "thread" in result.solver
    assert distributed.get_client() is client
    return result


def same(one: fu.Result, other: fu.Result) -> None:
    assert one.loss == pytest.approx(other.loss, rel=1e-9)
    for name, value in one.factors.items():
        np.testing.assert_allclose(value, other[name], rtol=0, atol=1e-7 * np.nanmax(np.abs(value)))
    for name, data in one.data.items():
        np.testing.assert_allclose(data.residual_map, other.data[name].residual_map, rtol=1e-6)


@pytest.mark.parametrize("problem", [squares, counts, two])
def test_workers_find_the_answer_of_threads(client, problem):
    result = by_blocks(*problem(), settings={"passes": 4})
    assert "on 2 workers of dask.distributed" in result.solver
    same(result, on_threads(problem, settings={"passes": 4}))


def test_persisted_data_are_read_where_they_are(client):
    def persisted():
        data = fu.Dataset("eels", da.from_array(CUBE, chunks=(7, 12, 60)).persist())
        return NMF(data, K), Gaussian(data)

    same(by_blocks(*persisted()), on_threads(squares))


def test_data_in_memory_and_sparse_ones_are_sent(client):
    from scipy import sparse

    def posed():
        counts = sparse.csr_matrix(COUNTS.reshape(-1, len(S)))
        axes = [fu.Axis("y", size=SCAN[0]), fu.Axis("x", size=SCAN[1]), "energy"]
        edxs = fu.Dataset("edxs", counts, axes=axes)
        floats, unsigned = fu.Dataset("eels", CUBE), fu.Dataset("counts", COUNTS[..., ::3].copy())
        loss = Gaussian(floats) + Frobenius(unsigned) + Frobenius(edxs)
        return SharedMaps(floats, unsigned, edxs, K=K), loss

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(partition, "LARGEST", 40_000)
        result = by_blocks(*posed(), settings={"passes": 3})
        same(result, on_threads(posed, settings={"passes": 3}))


def test_a_worker_that_is_killed_in_a_pass_changes_nothing(client, monkeypatch):
    plain, killed = Passes.run, []

    def run(self, *args):
        for i, made in enumerate(plain(self, *args)):
            if self.traffic.passes == 3 and i == 2 and not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)
            yield made

    with monkeypatch.context() as patched:
        patched.setattr(Passes, "run", run)
        result = by_blocks(*squares())
    assert killed
    same(result, on_threads(squares))
    client.wait_for_workers(2, timeout=60)  # the nanny has started it again


def test_what_only_the_killed_worker_held_is_sent_again(client, monkeypatch):
    """The factors of a pass are lost where no other worker had them yet."""
    plain, killed, sent = distributed.Client.scatter, [], []

    def scatter(self, data, broadcast=False, **options):
        sent.append(data)
        if len(sent) != 3:
            return plain(self, data, broadcast=broadcast, **options)
        held = plain(self, data, workers=[holder], **options)
        killed.extend(client.run(os.getpid, workers=[holder]).values())
        os.kill(killed[0], signal.SIGKILL)
        return held

    holder = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
    with monkeypatch.context() as patched:
        patched.setattr(distributed.Client, "scatter", scatter)
        result = by_blocks(*squares())
    assert killed
    same(result, on_threads(squares))
    client.wait_for_workers(2, timeout=60)


def test_what_is_wrong_in_a_block_is_told_as_on_threads(client):
    array = CUBE.copy()
    array[13, 19, 41] = np.nan
    data = fu.Dataset("eels", lazy(array, (6, 9)))
    with pytest.raises(ValueError, match="first at y 13, x 19, channel 41: mask them"):
        by_blocks(NMF(data, K), Gaussian(data))


def test_a_block_that_cannot_be_read_is_told_with_its_place(client):
    def broken(block, block_info=None):
        if block_info[0]["chunk-location"] == (1, 2, 0):
            raise RuntimeError("error during blosc decompression: -1")
        return block

    array = lazy(CUBE, (6, 9)).map_blocks(broken, dtype=float)
    data = fu.Dataset("eels", array)
    with pytest.raises(ValueError, match=r"y 6–11, x 18–23 of 'eels' could not.*blosc"):
        by_blocks(NMF(data, K), Gaussian(data))


def test_settings_of_the_caller_are_left_as_they_were(client):
    before = torch.get_num_threads(), torch.get_default_dtype()
    by_blocks(*squares(), settings={"passes": 3})
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before


def test_what_goes_over_the_wire_is_small(client, monkeypatch):
    """Rows and sums go, no slice of a tensor that carries the whole of it."""
    from distributed.protocol import serialize

    mask = np.zeros(CUBE.shape, bool)
    mask[:5] = True
    mask[7, 7, 7] = True
    variance = np.full(CUBE.shape, 2.0)
    lazy_one = fu.Dataset("lazy", lazy(CUBE, (5, 24)), mask=mask, variance=variance)
    in_memory = fu.Dataset("whole", COUNTS)
    sizes, plain = [], Passes.run

    def run(self, task, shared, own):
        for block in self.blocks:
            sent = [piece.sent() for piece in block.pieces]
            _, frames = serialize((own(block), sent))
            sizes.append(sum(map(len, frames)))
        return plain(self, task, shared, own)

    monkeypatch.setattr(Passes, "run", run)
    loss = Frobenius(lazy_one) + Frobenius(in_memory)
    by_blocks(SharedMaps(lazy_one, in_memory, K=K), loss, settings={"passes": 3})
    values = 5 * 24 * len(S)
    assert max(sizes) < (2 + 1 + 8) * values + 20_000  # counts, mask and variance; rows, headers
