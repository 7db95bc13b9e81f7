"""Which passes over the data suit a loss."""

from __future__ import annotations

from torch import Tensor

from fusion.forms.contract import Form
from fusion.likelihood.compiled_passes import CompiledPasses, compiles
from fusion.likelihood.data_passes import EntryPasses, NonzeroPasses, Passes
from fusion.likelihood.entry_losses import Elementwise

LISTED = 0.25
"""Share of non-zero values below which they are listed."""


def passes(form: Form, loss: Elementwise, like: Tensor) -> Passes:
    """Compiled ones where the loss and the place of the factors have them, else those of torch."""
    if not (loss.vanishes_at_zero and form.rank_one):
        return EntryPasses(form, loss)
    if compiles(form, loss, like):
        return CompiledPasses(form)
    return NonzeroPasses(form, loss) if form.density < LISTED else EntryPasses(form, loss)
