"""The pictures of the gallery, taken out of the executed notebooks: `python notebooks/gallery.py`.

`PICTURES` says which picture of a notebook is shown; a new notebook needs a line there and one in
`notebooks/README.md`. `front.png`, the picture of the front page, is made by `front`.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

HERE = Path(__file__).parent
IMAGES = HERE / "images"
WIDTHS = (720, 640, 560, 500, 450)  # pixels, the first that is light enough
LARGEST = 60_000  # bytes

# notebook: which of its pictures, from 0
PICTURES = {
    "02_eels_edxs_fusion": 0,
    "03_background": 1,
    "04_your_own_model": 0,
    "ambiguity": 4,
    "detectors": 1,
    "fig3": 0,
    "fig5": 1,
    "fig6": 1,
    "fig7": 0,
    "fig8": 4,
    "fig9": 0,
}


def pictures(notebook: Path) -> list[bytes]:
    """All PNG pictures of an executed notebook, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return [base64.b64decode(data["image/png"]) for data in outputs if "image/png" in data]


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
    """The picture of the front page: maps and spectra of what `sdfusion demo -o demo` fits."""
    import fusion as fu
    from fusion.losses import Frobenius, SquaredNorm
    from fusion.plots import plot_publication
    from fusion.simulate import concurrent

    data = concurrent(shape=(32, 36), channels=160, dose=3.0, seed=0).datasets
    model = fu.models.SoftlyCoupled(data["eels"], data["edxs"], K=4)
    loss = Frobenius(data["eels"]) + Frobenius(data["edxs"]) + SquaredNorm("N", 0.002)
    result = fu.fit(model, loss, starts=10, seed=0)
    plot_publication(result).savefig(IMAGES / "front.png", dpi=200)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name, number in PICTURES.items():
        (IMAGES / f"{name}.png").write_bytes(small(pictures(HERE / f"{name}.ipynb")[number]))
    front()
