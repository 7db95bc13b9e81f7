#!/usr/bin/env bash
# torch 2.13.0: which ways to a derivative load torch's compiler and sympy, at their first call in a process.
#
# `torch.func.grad`, `vjp` and `jacrev` do, though nothing is compiled, and so does forward mode (`torch.func.jvp`) as soon
# as what varies meets a number, as in 2 x: it takes its rule for ZeroTensors from Python. That is 2 to 4 s. Forward mode
# without numbers loads neither. `torch.autograd.grad` of one number does not either; with slopes to start from
# (`grad_outputs`) it loads sympy alone. `torch.func.vmap` does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "torch==2.13.0" "numpy<3"
cd "$work"
cat >way.py <<'PYTHON'
import sys
import time
import warnings

import torch

warnings.simplefilter("ignore")
x, v = torch.arange(1.0, 4.0), torch.ones(3)
leaf = x.clone().requires_grad_()
ways = {
    "func.grad": lambda: torch.func.grad(lambda x: x.square().sum())(x),
    "func.vjp": lambda: torch.func.vjp(torch.square, x)[1](v),
    "func.jacrev": lambda: torch.func.jacrev(torch.square)(x),
    "func.jvp, 2 x": lambda: torch.func.jvp(lambda x: 2 * x, (x,), (v,)),
    "func.jvp, x x": lambda: torch.func.jvp(lambda x: x * x, (x,), (v,)),
    "func.vmap": lambda: torch.func.vmap(torch.square)(x),
    "autograd.grad": lambda: torch.autograd.grad(leaf.square().sum(), leaf),
    "autograd.grad, grad_outputs": lambda: torch.autograd.grad(leaf.square(), leaf, v),
}
begun = time.perf_counter()
ways[sys.argv[1]]()
took = time.perf_counter() - begun
loaded = [name for name in ("torch._dynamo", "sympy") if name in sys.modules]
print(f"{sys.argv[1]:28} {took:5.1f} s, loads {' and '.join(loaded) or 'neither'}")
sys.exit(0 if loaded == sys.argv[2:] else 1)
PYTHON
both=(torch._dynamo sympy)
"$work/env/bin/python" -c 'import torch; print("torch", torch.__version__)'
for way in "func.grad" "func.vjp" "func.jacrev" "func.jvp, 2 x"; do "$work/env/bin/python" way.py "$way" "${both[@]}"; done
for way in "func.jvp, x x" "func.vmap" "autograd.grad"; do "$work/env/bin/python" way.py "$way"; done
"$work/env/bin/python" way.py "autograd.grad, grad_outputs" sympy
echo "as stated"
