// Small maps of the answers that are shown side by side.
"use strict";

function paintBeside(sets, arrays) {
  const known = Object.fromEntries(sets.map((set) => [set.key, set]));
  document.querySelectorAll("canvas[data-beside]").forEach((canvas) => {
    const set = known[canvas.dataset.beside], column = Number(canvas.dataset.column), n = set.rows * set.columns;
    const values = arrays[set.maps].subarray(column * n, (column + 1) * n);
    [canvas.width, canvas.height] = [set.columns, set.rows];
    canvas.style.aspectRatio = String(Math.min(4, Math.max(0.4, set.columns / set.rows)));
    const range = limits(values), pixels = paint({ values, colours: ramp(set.colours[column]), ...range, low: Math.min(0, range.low) });
    canvas.getContext("2d").putImageData(new ImageData(pixels, set.columns, set.rows), 0, 0);
  });
}
