"""What scikit-learn, HyperSpy, PyTorch and MATLAB call what is here: for the error alone.

A wrong word is never taken for the right one; the error says the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

OPTIONS = {
    "K": (
        *("k", "n_components", "components", "rank", "n_endmembers", "n_factors", "ncomp"),
        *("output_dimension", "n_clusters", "number_of_components"),
    ),
    "starts": ("n_starts", "n_init", "restarts", "n_restarts", "n_repeats", "num_starts"),
    "max_steps": (
        *("max_iter", "maxiter", "n_iter", "n_iter_max", "max_iters", "n_iterations"),
        *("iterations", "epochs", "n_epochs", "steps"),
    ),
    "max_seconds": ("timeout", "max_time", "seconds", "time_limit"),
    "tolerance": ("tol", "rtol", "eps", "epsilon"),
    "threads": ("n_jobs", "n_threads", "num_threads", "workers", "n_workers", "cores"),
    "seed": ("random_state", "rng", "generator", "random_seed"),
    "progress": ("verbose", "show_progressbar", "quiet"),
    "init": ("initial", "x0", "guess", "initialization", "start", "W", "H"),
    "solver": ("method", "algorithm", "optimizer", "optimiser", "svd_solver"),
    "lr": ("learning_rate", "step_size"),
    "loss": ("beta_loss", "criterion", "objective", "loss_fn", "normalize_poissonian_noise"),
    "weight": (
        *("alpha", "alpha_W", "alpha_H", "l1_ratio", "strength", "lam", "lambda_", "penalty"),
        *("regularization", "weight_decay"),
    ),
    "units": ("unit",),
    "scale": ("step", "spacing", "pixel_size", "dispersion"),
    "offset": ("origin", "start"),
    "mask": ("navigation_mask", "signal_mask"),
    "variance": ("var", "sigma", "noise", "var_array", "noise_variance"),
    "noise of the data": ("variance", "var_array", "noise_variance"),
    "axes": ("axis", "names", "dims"),
    "signal": ("name", "dataset", "key"),
    "component": ("k", "index", "number"),
    "reverse": ("descending", "ascending"),
}
"""What an option is called elsewhere."""

BELONGS = {
    "K": "the model has the number of components: `NMF(data, K=3)`",
    "tolerance": "the solver has it: `solver=GaussNewton(tolerance=1e-9)`",
    "lr": "the solver has it: `solver=Adam(lr=0.05)`; the default needs none",
    "loss": "the loss is an object with the data in it: `Poisson(data)`, `Frobenius(data)`",
    "weight": "a weight stands before the term in the loss: `0.1 * L1('C')`",
    "max_steps": "`fit` has it: `fit(model, loss, max_steps=100)`",
    "starts": "`fit` has it: `fit(model, loss, starts=10)`",
    "seed": "`fit` has it: `fit(model, loss, seed=0)`",
    "init": "`fit` has it: `fit(model, loss, init=…)`",
    "solver": "`fit` has it: `fit(model, loss, solver=…)`",
    "axes": "axes go by their names: `data.sum('energy')`, `data.crop(energy=(500, 560))`",
    "mask": "the data set has it: `data.masked(mask)`, True = excluded",
    "noise of the data": "the data set has it: `data.with_variance(variance)`",
}
"""Where an option stands that a call does not have."""

ROOMS = {
    "models": (
        *(
            "CPD",
            "Detectors",
            "DualEELS",
            "NMF",
            "SharedMaps",
            "SharedSpectra",
            "SoftlyCoupled",
            "Tucker",
            "Compositions",
            "ElementMaps",
        ),
        *("WithBackground", "WithReferences"),
    ),
    "losses": (
        *("ARD", "Amounts", "Exponential", "L1", "BetaDivergence", "FactorTerm", "Fit"),
        *("FitInformation", "Frobenius", "Gaussian", "HalfNormal", "LearnedSmoothness", "Move"),
        *("NearPowerLaw", "Norm", "Overlap"),
        *("Poisson", "Prior", "Smoothness", "SoftOrthogonality", "SpatialSmoothness"),
        *("SquaredNorm", "State", "Surrogate", "TotalVariation", "dual_eels_loss"),
    ),
    "constraints": (
        *(
            "Absent",
            "Constraint",
            "Exp",
            "Fixed",
            "Free",
            "Monotone",
            "NonNegative",
            "PowerLaw",
            "Standardised",
        ),
        *("Simplex", "Softplus", "Square", "Unimodal", "UnitColumns", "UnitNorm"),
    ),
    "solvers": (
        *("ALS", "MALS", "HALS", "LBFGS", "Adam", "ArrowNewton", "GaussNewton", "RowNewton"),
    ),
    "estimators": ("Unmixer",),
}
"""Names that stand in a room, for who asks another one for them."""

NAMES = {
    "fu.losses.Frobenius(data)": (
        *("LeastSquares", "MSE", "MSELoss", "L2", "L2Loss", "SquaredError", "FrobeniusNorm"),
        *("Euclidean", "SumOfSquares", "LSQ"),
    ),
    "fu.losses.Poisson(data)": (
        *("KL", "KLDivergence", "KullbackLeibler", "PoissonNLLLoss", "PoissonLikelihood"),
        *("CrossEntropy", "KLDivLoss"),
    ),
    "fu.losses.Gaussian(data)": ("GaussianNLLLoss", "Chi2", "ChiSquare", "WeightedLeastSquares"),
    "fu.losses.BetaDivergence": ("ItakuraSaito", "IS", "BetaLoss"),
    "fu.losses.L1('C')": ("Lasso", "Sparsity", "Sparse", "L1Loss"),
    "fu.losses.SquaredNorm('C')": ("Ridge", "Tikhonov", "WeightDecay", "L2Penalty"),
    "fu.losses.TotalVariation('C')": ("TV", "TVLoss"),
    "fu.losses.SoftOrthogonality('C')": ("Orthogonality", "Orthogonal", "SO"),
    "fu.losses.ARD('C')": ("AutomaticRelevanceDetermination",),
    "fu.models.CPD": ("PARAFAC", "CANDECOMP", "CP", "NonNegativePARAFAC"),
    "fu.models.NMF(data, K=3)": ("MCR", "MCRALS", "MCR_ALS", "NonNegativeMatrixFactorization"),
    "fu.models.SharedMaps(eels, edxs, K=3)": ("JointNMF", "CoupledNMF", "Fusion", "Shared"),
    "fu.models.SoftlyCoupled(eels, edxs, K=3)": ("SoftCoupling", "Coupled"),
    "fu.models.WithBackground": ("Background",),
    "data.denoise(); how many components there are says `fu.rank(data)`": (
        *("PCA", "SVD", "TruncatedSVD", "ICA", "FastICA"),
    ),
    "fu.mlls(data, references)": ("NNLS", "FCLS", "nnls", "lstsq"),
    "fu.load(path)": ("read", "open", "imread", "load_file", "read_file", "from_file"),
    "fu.fit(model, loss)": (
        *("decomposition", "decompose", "unmix", "factorize", "factorise", "solve", "minimize"),
        *("minimise", "optimize", "fuse", "run", "train", "blind_source_separation"),
    ),
    "fu.Dataset('eels', array)": (
        *("Signal", "Signal1D", "Signal2D", "Spectrum", "SpectrumImage", "DataSet", "Data"),
        *("EELSSpectrum", "EDSTEMSpectrum", "EDSSEMSpectrum", "from_array", "array"),
    ),
    "fu.Dataset.from_hyperspy(signal)": ("from_hyperspy",),
    "result.composition({'Fe Ka': 1.2, …})": ("composition", "quantify", "quantification"),
    "fu.rank(data)": ("estimate_rank", "scree", "n_components", "estimate_components"),
    "fu.solvers": ("optim", "optimizers"),
    "fu.Adam(lr=0.05)": ("SGD", "RMSprop", "AdamW"),
    "fu.Result.load(path)": ("load_result", "read_result"),
}
"""What the package has for a name of other programs."""

MEMBERS: dict[str, dict[str, tuple[str, ...]]] = {
    "Result": {
        "result.spectra, (channel, K); scikit-learn has them transposed": (
            *("components_", "endmembers", "H", "loadings_", "eigenvectors"),
        ),
        "result.maps": ("abundances", "loadings", "scores", "W", "images", "coefficients"),
        "result.explained_variance": ("explained_variance_", "explained_variance_ratio_"),
        "result.loss": ("reconstruction_err_", "inertia_", "cost", "fun", "objective"),
        "result.n_components": ("n_components_", "K", "rank", "k"),
        "len(result.history['loss']) − 1": ("n_iter_", "nit", "n_iter", "steps"),
        "result.components": ("names", "labels"),
        "result.renamed({1: 'shell'})": ("rename", "set_names"),
        "result.sorted_by()": ("sort", "sorted", "reorder", "order", "sort_by"),
        "result.save(path)": ("to_csv", "write", "export", "to_npz", "to_file", "dump"),
        "result.model.predict()": ("predict", "reconstruction", "get_decomposition_model"),
        "result.data['eels'].residual_map": ("residual", "residuals", "residual_map"),
        "print(result)": ("info", "describe", "fit_report", "print"),
        "result.loss, or result.data['eels'].chi2": ("score", "chi2", "objective"),
        "result.map(1)": ("get_map", "get_loadings", "get_component", "loading"),
        "fu.fit(model, loss, init=result)": ("fit", "refit", "resume"),
        "result.plot()": ("show", "plot_decomposition_results", "figure"),
        "result.errors()": ("std_errors", "stderr", "uncertainty", "standard_errors"),
        "fu.ambiguity(result)": ("ambiguity", "bands"),
        "fu.compare(result, other)": ("compare",),
    },
    "Dataset": {
        "data.data": ("values", "array", "to_numpy", "to_array", "X"),
        "data[..., 500.0:600.0] or data.crop(energy=(500, 600))": (
            *("isig", "sel", "loc", "crop_signal"),
        ),
        "data[10:20, 5:30] or data.crop(y=slice(10, 20))": (
            *("inav", "isel", "iloc", "crop_navigation"),
        ),
        "fu.elements.composition(data, k_factors)": ("composition", "quantify", "quantification"),
        "data.axes": ("axes_manager", "dims", "coords"),
        "len(data.shape)": ("ndim",),
        "data.data.size": ("size",),
        "data.channels[0].values": ("energy", "energies", "energy_axis"),
        "fu.fit(fu.models.NMF(data, K=3), fu.losses.Frobenius(data))": (
            *("decomposition", "decompose", "fit", "unmix", "blind_source_separation"),
        ),
        "data.bin(energy=2)": ("rebin", "resample", "downsample"),
        "data.subtract_background((480, 520))": ("remove_background", "background"),
        "data.align(energy=(-5, 5))": ("align1D", "align_zero_loss_peak"),
        "data.remove_spikes()": ("spikes_removal_tool", "despike"),
        "data.estimate_variance()": (
            *("estimate_poissonian_noise_variance", "set_noise_variance", "get_noise_variance"),
        ),
        "data.normalise()": ("normalize",),
        "data.renamed('eels')": ("rename",),
        "data.summary()": ("info", "describe", "head"),
        "data.plot()": ("show", "imshow"),
        "fu.rank(data)": ("rank", "estimate_rank", "n_components", "plot_explained_variance_ratio"),
        "data.mean()": ("average", "mean_spectrum"),
        "data.sum('energy')": ("total", "total_map", "integrate", "integrate1D", "nansum"),
    },
}
"""What an object has for a member of other programs' objects."""


def meant_option(option: str, named: Iterable[str]) -> str:
    """What to write in place of an option that a call does not have, after a colon; or ""."""
    named = list(named)
    usual = [ours for ours, theirs in OPTIONS.items() if option in (ours, *theirs)]
    if ours := next((ours for ours in usual if ours in named), ""):
        return f": use `{ours}=`"
    if ours := next((ours for ours in usual if ours in BELONGS), ""):
        return f": {BELONGS[ours]}"
    if close := get_close_matches(option, named, 1):
        return f": use `{close[0]}=`"
    if len(named) == 1:
        return f"; it has {named[0]} alone"
    return f"; there are {', '.join(named)}" if named else "; it has none"


def names_there(module: str, known: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module: for a name that it does not have the one that was meant."""

    def missing(name: str) -> Any:
        raise AttributeError(f"module {module!r} has no attribute {name!r}{meant(name, known)}")

    return missing


def no_member(owner: Any, kind: str, name: str) -> AttributeError:
    """That an object has no such attribute, and which one was meant."""
    said = f"{kind!r} object has no attribute {name!r}"
    if name.startswith("_"):
        return AttributeError(said)
    known = [each for each in dir(type(owner)) if not each.startswith("_")]
    return AttributeError(said + (_of_table(name, MEMBERS.get(kind, {})) or _near(name, known)))


def meant(name: str, known: Iterable[str]) -> str:
    """What was meant by a name that a module does not have, after a colon; or ""."""
    if name.startswith("_"):
        return ""
    room = next((room for room, names in ROOMS.items() if name in names), "")
    if room:
        return f": it is `fu.{room}.{name}`"
    near = _near(name, [*known, *(each for names in ROOMS.values() for each in names)])
    return _of_table(name, NAMES) or _in_room(near)


def _of_table(name: str, table: Mapping[str, tuple[str, ...]]) -> str:
    plain = _plain(name)
    for ours, theirs in table.items():
        if name in theirs or (len(plain) > 2 and plain in map(_plain, theirs)):
            code, _, more = ours.partition(";")
            return f": use `{code}`{f';{more}' if more else ''}"
    return ""


def _near(name: str, known: Iterable[str]) -> str:
    """The name that is nearest to it, capitals and _ aside."""
    by_plain = {_plain(each): each for each in known}
    close = get_close_matches(_plain(name), by_plain, 1, cutoff=0.75)
    return f": did you mean `{by_plain[close[0]]}`?" if close else ""


def _in_room(said: str) -> str:
    """The same with the room in front of the name, where it stands in one."""
    for room, names in ROOMS.items():
        for name in names:
            said = said.replace(f"`{name}`", f"`fu.{room}.{name}`")
    return said


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
