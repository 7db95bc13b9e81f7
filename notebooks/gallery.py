"""The pictures of the gallery, taken out of the executed notebooks: `python notebooks/gallery.py`.

`PICTURES` says which picture of a notebook is shown; a new notebook needs a line there and one in
`notebooks/README.md`. Notebooks are made tidy first: no times, no paths of the machine they ran on.
`front.png`, `rank.png` and `answer.png`, the pictures of the front page, are made by `front`.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
IMAGES = HERE / "images"
WIDTHS = (720, 640, 560, 500, 450)  # pixels, the first that is light enough
LARGEST = 60_000  # bytes

RAISED = re.compile(r"^\S*[/\\]\S+\.py:\d+: ")  # where a warning says that it was raised

# notebook: which of its pictures, from 0
PICTURES = {
    "01_first_map": 2,
    "02_eels_edxs_fusion": 1,
    "03_background": 1,
    "04_your_own_model": 0,
    "ambiguity": 4,
    "compositions": 0,
    "detectors": 1,
    "dual_eels": 2,
    "fig3": 0,
    "fig5": 1,
    "fig6": 1,
    "fig7": 0,
    "fig8": 4,
    "fig9": 0,
    "hyperspy_signals": 2,
    "sparse_counts": 2,
}


def pictures(notebook: Path) -> list[bytes]:
    """All PNG pictures of an executed notebook, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return [base64.b64decode(data["image/png"]) for data in outputs if "image/png" in data]


def tidy(notebook: Path) -> None:
    """Leaves out of an executed notebook when and where it was executed."""
    page = json.loads(notebook.read_text(encoding="utf-8"))
    page["metadata"].pop("widgets", None)
    page["metadata"]["language_info"] = {"name": "python"}
    for cell in page["cells"]:
        cell["metadata"].pop("execution", None)
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = [RAISED.sub("", line) for line in output["text"]]
    notebook.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def small(picture: bytes) -> bytes:
    """The picture in 256 colours of its own, as wide as `WIDTHS` and `LARGEST` bytes allow."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    for width in WIDTHS:
        made, written = image.copy(), io.BytesIO()
        made.thumbnail((width, width), Image.Resampling.LANCZOS)
        # k-means: fewer colours, or other ways to choose them, turn the yellow of maps orange
        made.quantize(256, kmeans=3, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() <= LARGEST:
            break
    return written.getvalue()


def front() -> None:
    """The pictures of the front page: of `sdfusion demo -o demo`, and of the commands after it."""
    demo()
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        commands()
        os.chdir(here)


def demo() -> None:
    """Maps and spectra of what `sdfusion demo -o demo` fits."""
    import fusion as fu
    from fusion.losses import Frobenius, SquaredNorm
    from fusion.plots import plot_publication
    from fusion.simulate import concurrent

    data = concurrent(shape=(32, 36), channels=160, dose=3.0, seed=0).datasets
    model = fu.models.SoftlyCoupled(data["eels"], data["edxs"], K=4)
    loss = Frobenius(data["eels"]) + Frobenius(data["edxs"]) + SquaredNorm("N", 0.002)
    result = fu.fit(model, loss, starts=10, seed=0)
    plot_publication(result).savefig(IMAGES / "front.png", dpi=200)


def commands() -> None:
    """What `sdfusion rank` and `sdfusion unmix` draw of the file that `01_first_map` writes."""
    from fusion.cli import main

    exec(code(HERE / "01_first_map.ipynb")[0], {})
    main(["rank", "map.npz", "-o", "rank.png"])
    main(["unmix", "map.npz", "-k", "3", "-o", "."])
    for drawn, kept in (("rank.png", "rank.png"), ("figure.png", "answer.png")):
        (IMAGES / kept).write_bytes(small(Path(drawn).read_bytes()))


def code(notebook: Path) -> list[str]:
    """The cells of a notebook that are run."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name, number in PICTURES.items():
        tidy(HERE / f"{name}.ipynb")
        (IMAGES / f"{name}.png").write_bytes(small(pictures(HERE / f"{name}.ipynb")[number]))
    front()
