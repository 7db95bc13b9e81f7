import fusion as fu

eels = fu.load("map.npz")
result = fu.fit(fu.models.NMF(eels, 3), fu.losses.Frobenius(eels), init=fu.Result.load("fit.npz"))
