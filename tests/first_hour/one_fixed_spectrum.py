import fusion as fu

eels, known = fu.load("map.npz"), fu.load("reference.npz")
model = fu.models.WithReferences(eels, {"silica": known}, K=2)
result = fu.fit(model, fu.losses.Frobenius(eels))
silica = result.map("silica")
