"""Small data sets for every shipped model, and what a model predicts of them."""

import numpy as np
import torch

import fusion as fu

ENERGY = fu.Axis("energy loss", scale=1.0, offset=100.0, units="eV")


def dataset(name, *shape, **options):
    """Random numbers, the same ones for a name whatever else was made before."""
    rng = np.random.default_rng(list(name.encode()))
    return fu.Dataset(name, rng.random(shape), **options)


def predicted(model):
    """Predictions expanded, and factors, as NumPy arrays."""
    with torch.no_grad():
        made = {name: M.dense().numpy() for name, M in model.predict().items()}
        return made, {name: value.numpy() for name, value in model.factors.items()}


a, b, image = dataset("a", 4, 5, 12), dataset("b", 4, 5, 9), dataset("adf", 4, 5, signal=0)
raw, net = (dataset(name, 4, 5, 12, axes=("y", "x", ENERGY)) for name in ("raw", "net"))
