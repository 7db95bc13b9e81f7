import fusion as fu

edxs = fu.load("edxs.npz")
result = fu.fit(fu.models.NMF(edxs, K=2), fu.losses.Poisson(edxs))
composition = result.composition({"O Ka": 1.9, "Mn Ka": 1.25, "Ni Ka": 1.4})
