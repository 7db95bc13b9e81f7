import fusion as fu

scan = fu.load("scan.npz")
eels, edxs = scan["eels"].estimate_variance(), scan["edxs"]
model = fu.models.SharedMaps(eels, edxs, K=3)
result = fu.fit(model, fu.losses.Gaussian(eels) + fu.losses.Poisson(edxs))
result.report("fit.html")
