import fusion as fu

eels = fu.load("map.npz")
eels.plot().savefig("map.png")
