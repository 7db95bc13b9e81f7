"""python -m benchmarks [case …] [--size small|full] [--seeds N] [--peers a,b|none] …"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import cases, gpu, scaling
from benchmarks.blocks import PARTS, blocks
from benchmarks.cases import Options, Skipped
from benchmarks.looking import looking
from benchmarks.machine import Rates, described
from benchmarks.table import Report
from benchmarks.trust import trust

CASES: dict[str, Callable[[Options], Report]] = {
    case.__name__: case
    for case in (
        cases.nmf,
        cases.separate,
        scaling.starts,
        cases.poisson,
        cases.gpa88,
        cases.cpd,
        cases.tucker,
        cases.joint,
        scaling.background,
        scaling.growth,
        scaling.memory,
        looking,
        blocks,
        gpu.gpu,
        trust,
    )
}
PEERS = ("sklearn", "tensorly", "torchnmf", "adam", "lbfgs")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases, print a table for each as soon as it is there, then the machine."""
    parser = _parser()
    args = parser.parse_args(argv)
    parts = tuple(name for name in args.cases if name in PARTS) if "blocks" in args.cases else ()
    args.cases = [name for name in args.cases if name not in parts]
    if unknown := [name for name in args.cases if name not in CASES]:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(CASES)}")
    full = args.size == "full"
    rates = Rates.measured(*((1 << 29, 2048) if full else (1 << 26, 512)))
    options = Options(
        full=full,
        seeds=args.seeds or (5 if full else 1),
        rates=rates,
        peers=args.peers,
        data=args.data,
        give_up=args.give_up or (50.0 if full else 5.0),
        draw=args.draw,
        parts=parts,
    )
    printed = []
    for name in args.cases or CASES:
        try:
            printed.append(str(CASES[name](options)))
        except Skipped as reason:
            printed.append(f"### {name}: skipped: {reason}\n")
        print(printed[-1], flush=True)
    printed.append("\n".join(f"- {line}" for line in described(rates)) + "\n")
    print(printed[-1])
    if args.markdown:
        args.markdown.write_text("\n".join(printed), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"{', '.join(CASES)}; default all")
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--seeds", type=int, metavar="N", help="default: 5 at full, 1 at small")
    parser.add_argument(
        "--peers", type=_peers, metavar="a,b", help=f"of {', '.join(PEERS)}; or none; default all"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of gpa88 and background")
    parser.add_argument(
        "--give-up",
        type=float,
        metavar="N",
        help="stop a peer after N times our time (default: 50 at full, 5 at small)",
    )
    parser.add_argument(
        "--draw", metavar="KIND:N", help="of trust: one draw again, such as fits:137"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    return parser


def _peers(text: str) -> frozenset[str]:
    chosen = frozenset() if text == "none" else frozenset(text.split(","))
    if unknown := chosen - set(PEERS):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(PEERS)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
