"""Slopes along directions, gradients and curvatures, against derivatives written out."""

from __future__ import annotations

from math import inf

import torch

from fusion.engine.directional import curvature, curvature_product, gradient, jacobian, slopes_along

X = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
Y = torch.tensor([[3.0], [0.25]], dtype=torch.float64)


def test_arguments_move_together_and_what_does_not_move_has_no_slope():
    def outputs(x, y):
        return 2 * x.square() + y.sum(), x[:2, None] * y, torch.ones(2, dtype=x.dtype)

    u, v = torch.eye(3, dtype=torch.float64)[:2], torch.ones(2, 2, 1, dtype=torch.float64)
    squares, products, still = slopes_along(outputs, [X, Y], [u, v])
    assert torch.equal(squares, 4 * X * u + 2)
    assert torch.equal(products, u[:, :2, None] * Y + X[:2, None])
    assert torch.equal(still, torch.zeros(2, 2, dtype=torch.float64))


def test_they_are_had_also_where_derivatives_are_switched_off():
    with torch.no_grad():
        (slope,) = slopes_along(lambda x: [x.exp()], [X], [torch.ones(1, 3).double()])
    assert torch.allclose(slope[0], X.exp(), rtol=1e-15, atol=0)
    assert not slope.requires_grad


def test_gradient_and_curvature_of_a_cubic_and_of_what_is_flat_or_straight():
    def cubic(x):
        return x.pow(3).sum() + x[0] * x[1]

    bend = torch.diag(6 * X)
    bend[0, 1] = bend[1, 0] = 1
    assert torch.allclose(gradient(cubic, X), 3 * X.square() + torch.stack([X[1], X[0], 0 * X[2]]))
    assert torch.allclose(curvature(cubic, X), bend)
    assert torch.allclose(curvature_product(cubic, X)(Y.sum() * X), bend @ X * Y.sum())
    zero = torch.zeros(3, 3, dtype=torch.float64)
    assert torch.equal(curvature(lambda x: x.sum(), X), zero)
    assert torch.equal(gradient(lambda x: torch.tensor(inf), X), zero[0])


def test_a_jacobian_by_two_arguments_has_their_shapes():
    by_x, by_y = jacobian(lambda x, y: x[:2] * y[:, 0], X, Y)
    assert torch.equal(by_x, torch.diag(Y[:, 0]) @ torch.eye(2, 3, dtype=torch.float64))
    assert torch.equal(by_y, torch.diag(X[:2])[:, :, None])
