"""The same code on a GPU: the same answers, the data moved once, one read-back a product."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import fusion as fu
from benchmarks import generators
from fusion.engine.conjugate_gradients import solve
from fusion.language.factor import FactorModule
from fusion.testing import ConstraintContract, TermContract, generator, normal
from tests.constraints import test_constraint_contracts
from tests.helpers.small_problems import (
    BENCHMARKED,
    LEARNING,
    OWN,
    benchmark_problem,
    fit_options,
    loss_in_float64,
    problem,
)
from tests.losses import test_term_contracts

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def cases(contract: type) -> list[type]:
    """Every shipped piece that the contracts' tests make."""
    known = [*vars(test_term_contracts).values(), *vars(test_constraint_contracts).values()]
    found = [c for c in known if isinstance(c, type) and issubclass(c, contract)]
    return [c for c in dict.fromkeys(found) if not getattr(c, "__abstractmethods__", None)]


@contextmanager
def waits():
    """The warnings of everything that waits for the device."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        found: list[str] = []
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
            found += [str(w.message) for w in told if "called a synchroniz" in str(w.message)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", [*BENCHMARKED, *OWN])
def test_the_loss_reached_is_that_of_the_cpu(name, dtype):
    model, loss = problem(name)
    here = fu.fit(model, loss, progress=False, **fit_options(name))
    there = fu.fit(model, loss, device="cuda", dtype=dtype, progress=False, **fit_options(name))
    if name in LEARNING:
        assert there.loss == pytest.approx(here.loss, rel=1e-4)
        assert there["C"].shape == here["C"].shape
        return
    assert loss_in_float64(there, loss) == pytest.approx(loss_in_float64(here, loss), rel=1e-5)
    assert there.loss == pytest.approx(loss_in_float64(there, loss), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", ["nmf", "sparse counts"])
def test_ten_starts_advance_together(name, dtype):
    model, loss, _ = benchmark_problem(name)
    here = fu.fit(model, loss, starts=10, progress=False)
    there = fu.fit(model, loss, starts=10, device="cuda", dtype=dtype, progress=False)
    assert loss_in_float64(there, loss) <= loss_in_float64(here, loss) * (1 + 1e-4)


def test_compressed_data_give_the_loss_of_all_of_them():
    made = generators.nmf(16384, 512, 4, 0)
    model, loss = made.ours()
    given = {"init": [made.start], "starts": 1, "progress": False, "device": "cuda"}
    plain = fu.fit(model, loss, compress=False, **given)
    quick = fu.fit(model, loss, **given)
    assert made.loss(quick.factors) <= made.loss(plain.factors) * (1 + 1e-5)


@pytest.mark.parametrize("case", cases(TermContract), ids=lambda case: case.__name__)
def test_a_term_and_its_gradient_are_those_of_the_cpu(case):
    found = {}
    for device in ("cpu", "cuda"):
        model, loss = case().make()
        model = model.to(device)
        value = loss(model)
        value.backward()
        assert value.device.type == device
        found[device] = [value, *(p.grad for p in model.parameters() if p.grad is not None)]
    for here, there in zip(found["cpu"], found["cuda"], strict=True):
        torch.testing.assert_close(there.detach().cpu(), here.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", cases(ConstraintContract), ids=lambda case: case.__name__)
def test_a_constraint_and_its_samples_are_those_of_the_cpu(case):
    here, there = (FactorModule(case.shape, [case().make()]) for _ in range(2))
    there = there.to("cuda")
    sample = there.sample(generator(1))
    torch.testing.assert_close(sample, here.sample(generator(1)))  # on the CPU wherever it is
    raw = normal(*here.raw.shape)
    torch.testing.assert_close(there.constrain(raw.cuda()).cpu(), here.constrain(raw))
    back = there.unconstrain(sample.cuda())
    torch.testing.assert_close(back.cpu(), here.unconstrain(sample))
    there.assign(sample)


@pytest.mark.parametrize("starts", [1, 10])
def test_conjugate_gradients_read_back_once_a_product(starts):
    torch.manual_seed(0)
    A = torch.randn(starts, 50, 50, device="cuda", dtype=torch.float64)
    H = A.mT @ A + torch.eye(50, device="cuda", dtype=torch.float64)
    g = torch.randn(starts, 50, device="cuda", dtype=torch.float64)
    free = torch.ones_like(g)
    with waits() as found:
        *_, made = solve(
            lambda p: (H @ p[..., None])[..., 0],
            lambda r: r.clone(),
            g,
            free,
            tolerance=1e-6,
            max_products=40,
        )
    assert made > 5
    assert len(found) <= made + 1


@pytest.mark.parametrize("name", ["nmf", "sparse counts", "joint"])
def test_nothing_waits_for_the_device_once_a_component(name):
    """A step reads back as often for eight components as for two."""

    def a_step(K: int) -> float:
        if name == "joint":
            given = generators.joint(256, (64, 50), K, 0)
        else:
            make = generators.nmf if name == "nmf" else generators.poisson
            given = make(2048, 128, K, 0)
        model, loss = given.ours()
        solver = fu.RowNewton() if name == "sparse counts" else fu.GaussNewton(max_products=5)
        made = {}
        for steps in (1, 2, 6):  # the first is for what is loaded on the way
            with waits() as found:
                fu.fit(
                    model, loss, solver=solver, init=[given.start], starts=1, device="cuda",
                    max_steps=steps, compress=False, progress=False,
                )  # fmt: skip
            made[steps] = len(found)
        return (made[6] - made[2]) / 4

    few, many = a_step(2), a_step(8)
    print(f"{name}: waits in a step: {few:.1f} for K = 2, {many:.1f} for K = 8")
    assert many < 2 * few + 10


def test_a_result_from_a_gpu_is_arrays_and_saves(tmp_path):
    model, loss, start = benchmark_problem("nmf")
    result = fu.fit(model, loss, init=[start], starts=1, device="cuda", progress=False)
    assert isinstance(result["C"], np.ndarray)
    result.save(tmp_path / "r.npz")
    assert fu.Result.load(tmp_path / "r.npz")["C"] == pytest.approx(result["C"])
