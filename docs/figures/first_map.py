"""What the first page gets: maps and spectra of the oxide particle, by the page's own lines."""

import fusion as fu
from fusion.plots import plot_publication
from fusion.simulate import with_background


def draw():
    eels = with_background(shape=(20, 24), channels=120, seed=0).datasets["raw"].renamed("eels")
    net = eels.estimate_variance().subtract_background((500, 525))
    model = fu.models.NMF(net, K=3)
    result = fu.fit(model, fu.losses.Frobenius(net), starts=5, seed=0, progress=False)
    ordered = result.sorted_by(energy=(527, 531))
    return plot_publication(ordered.renamed(["oxide", "resin", "surface"]), width=150)
