"""Write an example: python -m fusion.simulate -o FILE.npz"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusion.simulate.eels import layers


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate one EELS map of three layers and write it, with its truth, as npz."""
    parser = argparse.ArgumentParser(prog="python -m fusion.simulate", description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--seed", type=int, default=0, help="of geometry and noise (default: 0)")
    args = parser.parse_args(argv)
    if args.output.suffix != ".npz":
        parser.error(
            f"-o {args.output}: the example is written as npz: give a name that ends in .npz"
        )
    if not args.output.absolute().parent.is_dir():
        parser.error(f"-o {args.output}: there is no folder {args.output.parent}: make it first")
    scene = layers(seed=args.seed)
    net = scene.datasets["net"]
    energy = net.channels[0]
    np.savez_compressed(
        args.output,
        data=net.tensor.numpy().astype(np.float32),
        energy=energy.values,
        energy_units=energy.units,
        truth_C=scene.truth["C"],
        truth_S=scene.truth["S"],
    )
    print(f"{args.output}: {net!r}, {energy.label}; {', '.join(scene.components)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
