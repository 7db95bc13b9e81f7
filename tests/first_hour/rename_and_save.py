import fusion as fu

result = fu.Result.load("fit.npz").renamed({1: "shell", 2: "core"})
result.save("named.npz")
