"""Members that every term and constraint had once still work; a warning says what to do."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Constraint, NonNegative, UnitColumns
from fusion.losses import Frobenius, Move, Norm, Term


class OldNorm(Term):
    """A group lasso as it was written while a `Term` had all members."""

    factor = "N"
    quadratic = True

    def refresh(self, model, state, fits):
        return {"size": model.N.detach().norm().clamp_min(1e-30)}

    def value(self, model, state):
        return 0.5 * model.N.square().sum() / state["size"] + 0.5 * state["size"]

    def moves(self, model):
        return (Move("N switched off", {"N": torch.zeros_like(model.N)}, simpler=True),)

    def finish(self, model):
        small = float(model.N.norm()) < 1e-8
        return {"N": torch.zeros_like(model.N)} if small else {}


class Deviating(fu.Model):
    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, 1))
        self.N = fu.Factor((data.pixels, 1))
        self.S = fu.Factor((data.channels, 1), NonNegative(), UnitColumns())

    def forward(self):
        return {"a": fu.cp(self.C + self.N, self.S)}


def test_a_plain_term_with_moves_and_lagged_pieces_is_fitted_and_warned_of():
    data = fu.Dataset("a", np.random.default_rng(0).random((4, 5, 6)))
    old = fu.Loss([(1.0, Frobenius(data)), (5.0, OldNorm())])
    with pytest.warns(DeprecationWarning, match=r"OldNorm.*moves.*fusion\.losses\.Prior"):
        assert len(old.surrogates) == 2
    result = fu.fit(Deviating(data), old, starts=2, progress=False)
    new = fu.fit(Deviating(data), Frobenius(data) + 5 * Norm("N"), starts=2, progress=False)
    assert result.loss == pytest.approx(new.loss, rel=1e-6)
    assert not result["N"].any()


def test_a_plain_term_shows_what_everybody_writes():
    members = {name for name in dir(Term) if not name.startswith("_")}
    assert members == {"value", "check", "formula"}


def test_a_constraint_that_calls_itself_local_is_entrywise_and_warned_of():
    with pytest.warns(DeprecationWarning, match="entrywise"):

        class Old(Constraint):
            kind, local = "sign", True

    assert Old().entrywise


def test_another_forward_is_not_taken_for_the_identity():
    class Doubled(NonNegative):
        def forward(self, raw):
            return 2 * raw.clamp_min(0)

        def right_inverse(self, value):
            return value / 2

    assert NonNegative().identity
    assert not Doubled().identity
    data = fu.Dataset("a", np.random.default_rng(0).random((4, 5, 6)))

    class Model(fu.Model):
        def __init__(self, constraint):
            super().__init__()
            self.C = fu.Factor((data.pixels, 2), constraint)
            self.S = fu.Factor((data.channels, 2))

        def forward(self):
            return {"a": fu.cp(self.C, self.S)}

    fits = [
        fu.fit(Model(c), Frobenius(data), starts=3, progress=False)
        for c in (NonNegative(), Doubled())
    ]
    assert fits[1].loss == pytest.approx(fits[0].loss, rel=1e-4)


def test_a_users_own_bound_takes_the_fast_path():
    """What names like a shipped constraint's once decided, a property does."""

    class AtLeastZero(Constraint):
        kind, lower, identity, entrywise = "sign", 0.0, True, True

        def forward(self, raw):
            return raw.clamp_min(0)

        def right_inverse(self, value):
            return value.clamp_min(0)

    data = fu.Dataset("a", np.random.default_rng(0).random((6, 7, 8)))
    losses, told = [], {"starts": 2, "max_steps": 20, "progress": False}
    for constraint in (NonNegative(), AtLeastZero()):
        model = fu.models.NMF(data, 2)
        model.C = type(model.factor("C"))((data.pixels, 2), [constraint])
        losses.append(fu.fit(model, Frobenius(data), **told).loss)
        hals = fu.fit(model, Frobenius(data), solver=fu.HALS(), **told)
        assert np.isfinite(hals.loss)
    assert losses[0] == losses[1]
