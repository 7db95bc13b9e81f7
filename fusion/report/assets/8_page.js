// The page: reads what it was given, builds every scan, and hears where the mouse is.
"use strict";

class Page {
  constructor(told, arrays, palettes) {
    Object.assign(this, { names: told.names, colours: told.colours, arrays });
    this.ramps = told.colours.map(ramp);
    this.palettes = { left: palette(palettes.left), both: palette(palettes.both) };
    this.off = new Set();
    this.parts = told.parts.map((part, i) => Object.assign(new Part(part, arrays, told.groups[part.group]), { index: i }));
    this.parts.forEach((part) => { part.channel = part.kept = this.telling(part); part.width = 1; part.shape = true; });
    this.scans = told.groups.map((group, g) => new (group.kind === "image" ? ImageScan : LineScan)(this, group, g));
    this.waiting = new Map();
  }

  model(name) {
    return Bokeh.documents[0].get_model_by_name(name);
  }

  // what is pointed at is drawn once a frame
  later(what, task) {
    const first = this.waiting.size === 0;
    this.waiting.set(what, task);
    if (first) requestAnimationFrame(() => {
      const tasks = [...this.waiting.values()];
      this.waiting.clear();
      tasks.forEach((each) => each());
    });
  }

  // the channel in which components differ most
  telling(part) {
    if (part.signal !== 1 || !part.K) return Math.floor(part.n / 2);
    const highs = Array.from({ length: part.K }, (_, k) => quantile(part.row(part.right, k), 1) || 1);
    let best = 0, most = -1;
    for (let b = 0; b < part.n; b++) {
      const values = highs.map((high, k) => part.right[k * part.n + b] / high);
      const spread = part.K > 1 ? Math.max(...values) - Math.min(...values) : values[0];
      if (spread > most) { most = spread; best = b; }
    }
    return best;
  }

  build() {
    this.parts.forEach((part) => this.buildPart(part));
    this.scans.forEach((scan) => { scan.build(); scan.look(); });
    this.parts.forEach((part) => this.showChannel(part));
    document.querySelectorAll("button.toggle").forEach((button) => {
      button.addEventListener("click", () => this.toggle(Number(button.dataset.number)));
    });
    document.querySelectorAll("tr[data-number]").forEach((row) => {
      row.addEventListener("click", () => this.scans.forEach((scan) => {
        const key = Object.keys(scan.layers).find((k) => scan.layers[k].number === Number(row.dataset.number));
        if (key && scan.choose) scan.choose(key);
      }));
    });
  }

  buildPart(part) {
    if (part.signal !== 1) return;
    const x = part.x[0], range = this.model(`energies${part.index}`), n = x.length;
    const half = n > 1 ? Math.abs(x[1] - x[0]) / 2 : 0.5;
    [range.start, range.end] = [Math.min(x[0], x[n - 1]) - half, Math.max(x[0], x[n - 1]) + half];
    range.reset_start = range.start;
    range.reset_end = range.end;
    this.showParts(part);
    for (const kind of part.K ? ["spectrum", "log", "parts"] : ["spectrum", "log"]) {
      const name = `${kind}${part.index}`, inner = this.model(name).inner_height || this.model(`spectrum${part.index}`).inner_height;
      for (const mark of Bokeh.documents[0].all_models) if (mark.name === `mark of ${name}`) mark.y = inner - 2;
    }
    const host = document.getElementById(`part${part.index}`);
    host.querySelectorAll("input[name^=shape]").forEach((input) => input.addEventListener("change", () => {
      part.shape = input.value === "shape";
      this.showParts(part);
    }));
    host.querySelectorAll("input[name^=scale]").forEach((input) => input.addEventListener("change", () => {
      this.model(`spectrum${part.index}`).visible = input.value === "linear";
      this.model(`log${part.index}`).visible = input.value === "log";
    }));
    const width = host.querySelector("select.width");
    width.addEventListener("change", () => { part.width = Number(width.value); this.showChannel(part); });
  }

  // spectra of all components: each to its own maximum, or as much as they are in the mean
  showParts(part) {
    if (!part.K) return;
    const data = { x: part.x[0], mean: Float64Array.from(part.mean, (m) => (part.shape ? NaN : m)) };
    part.numbers.forEach((k, j) => {
      const row = part.row(part.right, j);
      let scale = 1 / (quantile(row, 1) || 1);
      if (!part.shape) {
        const amounts = finite(part.left.subarray(j * part.pixels, (j + 1) * part.pixels));
        scale = amounts.reduce((a, b) => a + b, 0) / (amounts.length || 1);
      }
      data[`c${k}`] = Float64Array.from(row, (s) => scale * s);
    });
    this.model(`parts${part.index}-source`).data = data;
    const axis = this.model(`parts${part.index}`).left[0];
    axis.axis_label = part.shape ? "component / its maximum" : "share of the mean";
  }

  showSpectrum(part, place, reach) {
    if (part.signal !== 1) return;
    const found = part.spectrum(place, reach), index = part.index;
    const data = { x: part.x[0], measured: found.measured, fit: found.fit, left: found.left,
      high: found.band, low: found.band.map((b) => -b) };
    part.numbers.forEach((k, j) => { data[`c${k}`] = found.components[j]; });
    this.model(`spectrum${index}-source`).data = data;
    const high = Math.max(quantile(found.measured, 1), quantile(found.fit, 1)) || 1;
    const positive = finite(found.fit).filter((v) => v > 0), low = positive.length ? quantile(positive, 0.05) : high / 1e4;
    const logs = this.model(`logs${index}`);
    [logs.start, logs.end] = [Math.max(low / 5, high / 1e6), 2 * high];
    this.readChannel(part);
    const [rows, columns] = part.bin.map((b) => b * (1 + 2 * reach)), scan = this.scans[part.group];
    const size = scan.told.kind === "line" ? `${columns}` : `${rows} × ${columns}`;
    const told = rows * columns > 1 && scan.told.kind !== "point" ? `, mean of ${size} pixels` : "";
    document.getElementById(`where${index}`).textContent = `${scan.where() || "the spectrum"}${told}`;
  }

  channelName(part) {
    if (part.signal === 0) return "every pixel";
    const b = part.channel, half = Math.floor(part.width / 2), x = part.x[0], unit = part.axes[0].units.replace("um", "µm");
    if (part.signal > 1) return `channel ${b}`;
    if (!half) return `${tell(x[b])} ${unit}`.trim();
    return `${tell(x[Math.max(0, b - half)])}–${tell(x[Math.min(part.n - 1, b + half)])} ${unit}`.trim();
  }

  showChannel(part) {
    if (part.signal === 1) {
      for (const kind of ["spectrum", "log", "left", "parts"]) {
        const spot = this.model(`${kind}${part.index}-spot`);
        if (spot) spot.location = part.x[0][part.channel];
      }
      this.readChannel(part);
    }
    const head = document.getElementById(`maps-title${part.index}`);
    if (head) head.textContent = `${part.name} at ${this.channelName(part)}`;
    this.scans[part.group].showChannel(part);
  }

  readChannel(part) {
    const data = this.model(`spectrum${part.index}-source`).data, channels = part.window(part.channel, part.width);
    const mean = (values) => {
      const seen = channels.map((b) => values[b]).filter(Number.isFinite);
      return tell(seen.length ? seen.reduce((a, b) => a + b, 0) / seen.length : NaN);
    };
    const told = part.measured ? [`measured ${mean(data.measured)}`, `fit ${mean(data.fit)}`] : [`fit ${mean(data.fit)}`];
    document.getElementById(`channel${part.index}`).textContent = `${this.channelName(part)}:  ${told.join(",  ")}`;
  }

  toggle(number) {
    if (this.off.has(number)) this.off.delete(number); else this.off.add(number);
    const on = !this.off.has(number);
    document.querySelectorAll(`button.toggle[data-number="${number}"]`).forEach((b) => b.setAttribute("aria-pressed", String(on)));
    for (const model of Bokeh.documents[0].all_models) if (model.name === `component${number}`) model.visible = on;
    this.scans.forEach((scan) => scan.draw(Object.keys(scan.layers).filter((key) => scan.layers[key].maps)));
  }

  // --- called by the figures

  zoomed(g) {
    this.later(`zoom${g}`, () => this.scans[g].scale());
  }

  pixel(g, x, y, keep) {
    this.scans[g].pointAt(x, y, keep);
  }

  channel(i, x, _, keep) {
    const part = this.parts[i];
    if (x === null) part.channel = part.kept;
    else part.channel = part.nearest(x);
    if (keep) part.kept = part.channel;
    this.later(part, () => this.showChannel(part));
  }
}

async function start() {
  const told = JSON.parse(document.getElementById("report-data").textContent);
  if (typeof DecompressionStream === "undefined") {
    document.getElementById("old-browser").hidden = false;
    return;
  }
  const arrays = await unpackAll(told.arrays);
  while (!(Bokeh.documents.length && Bokeh.documents[0].is_idle)) await new Promise((done) => setTimeout(done, 20));
  const page = new Page(told, arrays, told.palettes);
  page.build();
  window.report = page;
  document.documentElement.dataset.ready = "true";
}

start();
