// The page: reads what it was given, builds every scan, and hears where the mouse is.
"use strict";

class Page {
  constructor(told, arrays, palettes) {
    Object.assign(this, { names: [...told.names], colours: told.colours, arrays });
    this.ramps = told.colours.map(ramp);
    this.palettes = { left: palette(palettes.left), both: palette(palettes.both) };
    this.off = new Set();
    this.parts = told.parts.map((part, i) => Object.assign(new Part(part, arrays, told.groups[part.group]), { index: i }));
    this.parts.forEach((part) => { part.channel = part.kept = this.telling(part); part.width = 1; part.shape = true; });
    this.marks = [];
    this.scans = told.groups.map((group, g) => new (group.kind === "image" ? ImageScan : LineScan)(this, group, g));
    this.waiting = new Map();
    this.theme = new Theme(this, told.roles);
    this.naming = new Naming(this);
    this.printing = new Printing(this);
    this.beside = told.beside;
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

  // all that is seen before the library is there
  paint() {
    this.scans.forEach((scan) => scan.paint());
    paintBeside(this.beside, this.arrays);
    performance.mark("painted");
  }

  build() {
    this.parts.forEach((part) => this.buildPart(part));
    this.scans.forEach((scan) => { scan.build(); scan.look(); });
    this.parts.forEach((part) => this.showChannel(part));
    this.theme.begin();
    this.naming.begin();
    this.printing.begin();
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
    if (part.end !== null) range.end = part.end; // two clicks show the rest
    this.showParts(part);
    this.marks.push(new Marks(this, part));
    const host = document.getElementById(`part${part.index}`);
    host.querySelectorAll("input[name^=shape]").forEach((input) => input.addEventListener("change", () => {
      part.shape = input.value === "shape";
      this.showParts(part);
    }));
    for (const [control, linear, log] of [["scale", "spectrum", "log"], ["partscale", "parts", "partslog"]]) {
      host.querySelectorAll(`input[name=${control}${part.index}]`).forEach((input) => input.addEventListener("change", () => {
        this.model(`${linear}${part.index}`).visible = input.value === "linear";
        this.model(`${log}${part.index}`).visible = input.value === "log";
      }));
    }
    host.querySelectorAll(".focus[data-part]").forEach((focus) => focus.addEventListener("keydown", (event) => {
      if (this.channelKey(part, event)) event.preventDefault();
    }));
    const width = host.querySelector("select.width");
    width.addEventListener("change", () => { part.width = Number(width.value); this.showChannel(part); });
  }

  // spectra of all components: each to its own maximum, or as much as they are in the mean
  showParts(part) {
    if (!part.K) return;
    const data = { x: part.x[0], mean: Float64Array.from(part.mean, (m) => (part.shape ? NaN : m)) };
    const rows = part.numbers.map((_, j) => part.row(part.right, j)), lows = [];
    const scales = rows.map((row, j) => {
      const amounts = part.left.subarray(j * part.pixels, (j + 1) * part.pixels);
      return part.shape ? 1 / (quantile(row.map(Math.abs), 1) || 1) : mean(finite(amounts)) || 0;
    });
    const curves = rows.map((row, j) => Float64Array.from(row, (s) => scales[j] * s));
    const high = Math.max(...curves.map((curve) => quantile(curve, 1)));
    part.numbers.forEach((k, j) => {
      data[`c${k}`] = curves[j];
      for (const [key, ends] of Object.entries(part.bandsOf(j))) {
        ends.forEach((end, side) => { data[`${key}${k}${side ? "high" : "low"}`] = this.within(end, curves[j], scales[j], high); });
      }
      const positive = finite(curves[j]).filter((v) => v > 0);
      if (positive.length) lows.push(quantile(positive, 0.05));
    });
    this.model(`parts${part.index}-source`).data = data;
    const least = Math.max(Math.min(...lows) / 5, high / 1e6) || 1e-6, logs = this.model(`partslogs${part.index}`);
    [logs.start, logs.end] = [least, 2 * Math.max(high, part.shape ? 0 : quantile(part.mean, 1)) || 1];
    const above = Object.entries(data).map(([key, values]) => [key, key === "x" ? values : values.map((v) => Math.max(v, least / 10))]);
    this.model(`partslog${part.index}-source`).data = Object.fromEntries(above);
    for (const kind of ["parts", "partslog"]) {
      this.model(`${kind}${part.index}`).left[0].axis_label = part.shape ? "component / its maximum" : "share of the mean";
    }
  }

  // an end of a band, at the curve where there is none; cut where it would flatten the curves
  within(end, curve, scale, high) {
    return Float64Array.from(end, (v, b) => (Number.isFinite(v) ? Math.max(-0.5 * high, Math.min(1.5 * high, scale * v)) : curve[b]));
  }

  showSpectrum(part, place, reach, second) {
    if (part.signal !== 1) return;
    const found = part.spectrum(place, reach), index = part.index, scan = this.scans[part.group];
    const other = second ? part.spectrum(second, reach) : null, none = new Float64Array(part.n).fill(NaN);
    const data = { x: part.x[0], measured: found.measured, fit: found.fit, left: found.left,
      high: found.band, low: found.band.map((b) => -b),
      otherMeasured: other ? other.measured : none, otherFit: other ? other.fit : none,
      apart: other ? found.measured.map((x, b) => x - other.measured[b]) : none,
      apartFit: other ? found.fit.map((x, b) => x - other.fit[b]) : none };
    part.numbers.forEach((k, j) => { data[`c${k}`] = found.components[j]; });
    this.model(`spectrum${index}-source`).data = data;
    const apart = this.model(`apart${index}`);
    if (apart.visible !== Boolean(other)) apart.visible = Boolean(other);
    const high = Math.max(quantile(found.measured, 1), quantile(found.fit, 1)) || 1;
    const positive = finite(found.fit).filter((v) => v > 0), low = positive.length ? quantile(positive, 0.05) : high / 1e4;
    const logs = this.model(`logs${index}`);
    [logs.start, logs.end] = [Math.max(low / 5, high / 1e6), 2 * high];
    this.readChannel(part);
    const told = (at) => `${scan.where(at)}${scan.size(at, part)}`, title = document.getElementById(`where${index}`);
    if (title) title.textContent = second ? `A, ${told(place)}; B, ${told(second)}` : told(place);
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
      for (const kind of ["spectrum", "log", "left", "apart", "parts", "partslog"]) {
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
    const at = (values) => tell(mean(channels.map((b) => values[b])));
    const told = part.measured ? [`measured ${at(data.measured)}`, `fit ${at(data.fit)}`] : [`fit ${at(data.fit)}`];
    if (this.scans[part.group].selection.second) told.push(`A − B ${at(part.measured ? data.apart : data.apartFit)}`);
    const { start, end } = this.model(`energies${part.index}`), lines = part.linesNear(part.channel, part.width, end - start);
    if (lines.length) {
      const unit = part.axes[0].units;
      told.push(`at ${lines.slice(0, 4).map(([energy, name]) => `${name} (${tell(energy)} ${unit})`.replace(" )", ")")).join(", ")}`);
    }
    document.getElementById(`channel${part.index}`).textContent = `${this.channelName(part)}:  ${told.join(",  ")}`;
  }

  // one key pressed on a spectrum; whether it meant something
  channelKey(part, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const x = part.x[0], rises = x[part.n - 1] >= x[0] ? 1 : -1, by = STEPS[event.key] && STEPS[event.key][1];
    if (by) part.channel = Math.min(part.n - 1, Math.max(0, part.channel + by * rises * (event.shiftKey ? 10 : 1)));
    else if (event.key === "Enter") part.kept = part.channel;
    else if (event.key === "Escape") part.channel = part.kept;
    else return false;
    this.later(part, () => this.showChannel(part));
    return true;
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

  pixel(g, x, y, keep, second) {
    this.scans[g].pointAt(x, y, keep, second);
  }

  drag(g, kind, x, y) {
    this.scans[g].dragAt(kind, x, y);
  }

  channel(i, x, _, keep) {
    const part = this.parts[i];
    if (x === null) part.channel = part.kept;
    else part.channel = part.nearest(x);
    if (keep) part.kept = part.channel;
    this.later(part, () => this.showChannel(part));
  }
}
