#!/usr/bin/env bash
# torch 2.13.0 with distributed 2026.8.0: objects that hold tensors of uint16, uint32 or uint64 cannot be sent to a worker.
#
# Python's pickle, with which dask.distributed sends such objects, asks the untyped storage behind the tensor for a type
# that it does not have. Bare tensors go by a way of their own; uint8 and the signed types go in any way; and all of them
# through torch.save, and as NumPy arrays.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "torch==2.13.0" "numpy<3" "dask==2026.8.0" "distributed==2026.8.0"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import io
import pickle
import sys
from types import SimpleNamespace

import distributed
import torch
from distributed.protocol import deserialize, serialize

print("torch", torch.__version__, "distributed", distributed.__version__)
ok = True
for name in ("uint8", "int16", "uint16", "uint32", "uint64"):
    tensor = torch.arange(3).to(getattr(torch, name))
    told = []
    for way, back in (
        ("pickle", lambda t: pickle.loads(pickle.dumps(t))),
        ("distributed bare", lambda t: deserialize(*serialize(t))),
        ("distributed in an object", lambda t: deserialize(*serialize(SimpleNamespace(x=t), on_error="raise")).x),
        ("NumPy", lambda t: torch.from_numpy(pickle.loads(pickle.dumps(t.numpy())))),
    ):
        try:
            same = torch.equal(back(tensor).long(), tensor.long())
            told.append(f"{way} {'goes' if same else 'other values'}")
        except Exception as error:
            told.append(f"{way} {type(error).__name__}")
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    told.append(f"torch.save {'goes' if torch.equal(torch.load(file).long(), tensor.long()) else 'other values'}")
    print(f"{name:7}", ", ".join(told))
    unsigned = name in ("uint16", "uint32", "uint64")
    ok &= (told[0] == "pickle AttributeError") == unsigned and told[1] == "distributed bare goes"
    ok &= (told[2] != "distributed in an object goes") == unsigned
    ok &= told[3:] == ["NumPy goes", "torch.save goes"]
sys.exit(0 if ok else 1)
PYTHON
echo "as stated"
