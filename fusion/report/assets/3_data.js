// One data set: the spectrum of pixels, and the map of channels, measured and fitted.
"use strict";

class Part {
  constructor(told, arrays, group) {
    Object.assign(this, told);
    this.scan = group;
    for (const key of ["measured", "left", "right", "cellLeft", "fit", "mean", "meanLeft", "rms"]) {
      this[key] = told[key] === null ? null : arrays[told[key]];
    }
    if (this.spread && this.spread.kind === "product") {
      this.rows = arrays[this.spread.rows];
      this.cols = arrays[this.spread.cols];
    }
    for (const [key, name] of Object.entries(told.bands)) this[key] = name === null ? null : arrays[name];
    this.x = told.x.map((name) => arrays[name]);
    this.n = told.channels.reduce((a, b) => a * b, 1);
    this.K = this.right ? this.right.length / this.n : 0;
    this.pixels = group.lead * group.rows * group.columns;
    this.nCells = group.lead * this.cells[0] * this.cells[1];
  }

  // averages that hold a pixel of the maps and its neighbours, or an area
  cellsAt(place, reach) {
    const [rows, columns] = this.cells, found = [];
    const [top, bottom] = place.rows || [place.row, place.row], [first, last] = place.columns || [place.column, place.column];
    const on = place.rows ? 0 : reach, cell = (i, axis) => Math.floor(i / this.step[axis]);
    for (let r = Math.max(0, cell(top, 0) - on); r <= Math.min(rows - 1, cell(bottom, 0) + on); r++) {
      for (let c = Math.max(0, cell(first, 1) - on); c <= Math.min(columns - 1, cell(last, 1) + on); c++) {
        found.push((place.lead * rows + r) * columns + c);
      }
    }
    return found;
  }

  row(matrix, cell) {
    return matrix.subarray(cell * this.n, (cell + 1) * this.n);
  }

  meanRow(matrix, cells) {
    const sums = new Float64Array(this.n), counts = new Float64Array(this.n);
    for (const cell of cells) {
      this.row(matrix, cell).forEach((x, b) => { if (Number.isFinite(x)) { sums[b] += x; counts[b]++; } });
    }
    return sums.map((x, b) => (counts[b] ? x / counts[b] : NaN));
  }

  // {measured, fit, left, components} of a pixel, each over the channels
  spectrum(place, reach) {
    let cells = this.cellsAt(place, reach);
    if (this.measured) {
      const seen = cells.filter((cell) => this.row(this.measured, cell).some(Number.isFinite));
      if (seen.length) cells = seen;
    }
    const measured = this.measured ? this.meanRow(this.measured, cells) : new Float64Array(this.n).fill(NaN);
    const weights = Array.from({ length: this.K }, (_, k) => mean(cells.map((cell) => this.cellLeft[k * this.nCells + cell])));
    const components = weights.map((w, k) => Float64Array.from(this.row(this.right, k), (s) => w * s));
    let fit = new Float64Array(this.n).fill(NaN);
    if (this.fit) fit = this.meanRow(this.fit, cells);
    else if (this.K) fit = fit.map((_, b) => components.reduce((sum, c) => sum + c[b], 0));
    const left = this.measured ? measured.map((x, b) => x - fit[b]) : Float64Array.from(this.meanLeft);
    return { measured, fit, left, components, band: this.band(cells, fit) };
  }

  // twice the standard deviation of a mean, by the noise that was assumed
  band(cells, fit) {
    const n = cells.length * this.bin[0] * this.bin[1] * this.channelBin, kind = this.measured && this.spread && this.spread.kind;
    if (kind === "poisson") return fit.map((m) => 2 * Math.sqrt(Math.max(m, 0) / n));
    if (kind === "level") return fit.map((m) => (Number.isFinite(m) ? 2 * Math.sqrt(this.spread.variance / n) : NaN));
    if (kind !== "product") return fit.map(() => NaN);
    const seen = cells.map((cell) => this.rows[cell]).filter(Number.isFinite);
    const row = seen.reduce((a, b) => a + b, 0) / (seen.length || 1);
    return fit.map((m, b) => (Number.isFinite(m) ? 2 * Math.sqrt((row * this.cols[b]) / n) : NaN));
  }

  meanColumns(matrix, channels) {
    return Float32Array.from({ length: this.nCells }, (_, cell) => {
      let sum = 0, count = 0;
      for (const b of channels) {
        const x = matrix[cell * this.n + b];
        if (Number.isFinite(x)) { sum += x; count++; }
      }
      return count ? sum / count : NaN;
    });
  }

  weights(channels) {
    return Array.from({ length: this.K }, (_, k) => {
      const values = channels.map((b) => this.right[k * this.n + b]).filter(Number.isFinite);
      return values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0;
    });
  }

  product(left, size, weights) {
    return Float32Array.from({ length: size }, (_, p) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * left[k * size + p];
      return sum;
    });
  }

  // {measured, fit, left} of channels, each over the pixels or their averages
  map(channels) {
    const cells = (values) => ({ values, rows: this.cells[0], columns: this.cells[1] });
    const found = { measured: null, fit: null, left: null };
    if (this.measured) found.measured = cells(this.meanColumns(this.measured, channels));
    let coarse = null;
    if (this.fit) {
      coarse = this.meanColumns(this.fit, channels);
      found.fit = cells(coarse);
    } else if (this.K) {
      const weights = this.weights(channels), { rows, columns } = this.scan;
      found.fit = { values: this.product(this.left, this.pixels, weights), rows, columns };
      coarse = this.product(this.cellLeft, this.nCells, weights);
    }
    if (coarse && found.measured) found.left = cells(found.measured.values.map((x, i) => x - coarse[i]));
    return found;
  }

  // channels of a window around one of them
  window(channel, width) {
    const half = Math.floor(width / 2), found = [];
    for (let b = Math.max(0, channel - half); b <= Math.min(this.n - 1, channel + half); b++) found.push(b);
    return found;
  }

  // ends of the bands of one component: of answers that fit as well (a), of two standard errors (b)
  bandsOf(j) {
    const row = this.row(this.right, j), errors = this.errors && this.row(this.errors, j);
    const end = (sign) => (errors ? row.map((s, b) => s + 2 * sign * errors[b]) : row);
    return { a: [this.low, this.high].map((side) => (side ? this.row(side, j) : row)), b: [end(-1), end(1)] };
  }

  // marked lines within the window at the cursor, or a hundredth of what is shown: nearest first
  linesNear(channel, width, shown) {
    const x = this.x[0], here = x[channel], step = this.n > 1 ? Math.abs(x[1] - x[0]) : 0;
    const within = Math.max((width * step) / 2, shown / 100);
    const far = ([energy]) => Math.abs(energy - here);
    return this.lines.filter((line) => far(line) <= within).sort((a, b) => far(a) - far(b));
  }

  nearest(energy) {
    let best = 0;
    this.x[0].forEach((x, b) => { if (Math.abs(x - energy) < Math.abs(this.x[0][best] - energy)) best = b; });
    return best;
  }
}
