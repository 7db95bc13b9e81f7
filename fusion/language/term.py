"""A belief about a model: a number that is small where the belief holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

if TYPE_CHECKING:
    from fusion.language.loss import Loss
    from fusion.language.model import Model

State = Mapping[str, Tensor]
"""What a term holds fixed within an outer step: multipliers, scales …; tensors, at first `{}`."""


class Term:
    """A belief about the model: a number that is small where the belief holds.

    Terms are weighted and added: `number * term`, `term + term`. A subclass writes `value`, and
    `check` and `formula` where it can say more: autograd finds the rest. What holds for a factor
    alone is easier as a `FactorTerm`.

    Further members come with the classes for those who need them: a likelihood of data is a `Fit`,
    a term of which a piece is held fixed within a step a `Surrogate`, a prior that jumps and
    switches components off a `Prior`.
    """

    _sum: ClassVar[type[Loss]]  # set by `fusion.language.loss`: a sum of terms is a `Loss`

    def value(self, model: Model, state: State) -> Tensor:
        """The term, a scalar.

        Args:
            model: its factors read as tensors, for one start.
            state: pieces that a `Surrogate` holds fixed; empty for all others.
        """
        raise NotImplementedError(f"`{type(self).__name__}.value`: return the term, a 0-d tensor.")

    def check(self, model: Model) -> None:
        """Complain, before the first step, of what does not fit the model.

        Raises:
            ValueError: naming the factor or data set, with both sizes.
        """

    def formula(self) -> tuple[str, str]:
        """The term as (plain text, LaTeX)."""
        return str(self), rf"\mathrm{{{type(self).__name__}}}"

    def __str__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        return self._sum([(1.0, self)])._repr_latex_()

    def __call__(self, model: Model) -> Tensor:
        return self._sum([(1.0, self)])(model)

    def __add__(self, other: Any) -> Loss:
        return self._sum([(1.0, self)]) + other

    def __mul__(self, weight: float) -> Loss:
        return self._sum([(1.0, self)]) * weight

    __rmul__ = __mul__
