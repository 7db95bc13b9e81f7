// The pixels of one scan: maps, a mark on each of them, and one large map with its colour bar.
"use strict";
const SEVERAL = 6; // components in an overlay: as many as have a colour of their own

class Scan {
  constructor(page, told, index) {
    Object.assign(this, { page, told, index });
    this.parts = told.parts.map((i) => page.parts[i]);
    this.lead = 0;
    this.reach = 0;
    this.tiles = {};
    this.layers = {};
    this.host = document.getElementById(`scan${index}`);
    this.selection = new Selection(this, this.first());
  }

  get place() { return this.selection.place; }

  shape() {
    const { rows, columns, equal, x, y } = this.told;
    const shape = equal ? Math.abs((x.last - x.first) / (y.last - y.first)) : columns / rows;
    return Math.min(4, Math.max(0.4, shape));
  }

  // where several components are strong at once: something is to be seen there
  first() {
    const part = this.parts.find((p) => p.left) || this.parts[0], n = part.pixels;
    const { rows, columns } = this.told;
    const maps = part.left ? part.numbers.map((_, j) => part.left.subarray(j * n, (j + 1) * n)) : [part.rms];
    const highs = maps.map((map) => limits(map).high);
    let best = 0, most = -1;
    for (let p = 0; p < n; p++) {
      const shares = maps.map((map, k) => Math.min(1, map[p] / highs[k])).filter(Number.isFinite).sort((a, b) => b - a);
      const row = Math.floor(p / columns) % rows, column = p % columns;
      const off = Math.abs(row - rows / 2) / rows + Math.abs(column - columns / 2) / columns;
      const worth = (shares.length > 1 ? shares[0] * shares[1] + shares[1] ** 2 : shares[0] ?? -1) - 0.3 * off;
      if (worth > most) { most = worth; best = p; }
    }
    this.lead = Math.floor(best / (rows * columns));
    return { lead: this.lead, row: Math.floor(best / columns) % rows, column: best % columns };
  }

  pixel(place) {
    return (place.lead * this.told.rows + place.row) * this.told.columns + place.column;
  }

  image(values, rows, columns) {
    return values.subarray(this.lead * rows * columns, (this.lead + 1) * rows * columns);
  }

  point(at, keep) {
    this.selection.point(at, keep);
    this.later();
  }

  later() {
    this.page.later(this, () => this.look());
  }

  // the pixel at a place of a figure; the nearest one where places outside count
  pixelAt(x, y, outside) {
    const { rows, columns } = this.told, along = this.told.x, down = this.told.y;
    let column = Math.floor(((x - along.first) / (along.last - along.first)) * columns);
    let row = down ? Math.floor(((y - down.first) / (down.last - down.first)) * rows) : 0;
    if (outside) [row, column] = [Math.min(rows - 1, Math.max(0, row)), Math.min(columns - 1, Math.max(0, column))];
    return row < 0 || row >= rows || column < 0 || column >= columns ? null : { row, column };
  }

  // where a figure says that the mouse is
  pointAt(x, y, keep, second) {
    if (x === null) return this.point(null, false);
    const at = this.pixelAt(x, y, false);
    if (!at) return undefined;
    if (second) this.selection.compare(at);
    else this.selection.point(at, keep);
    return this.later();
  }

  dragAt(kind, x, y) {
    const at = this.pixelAt(x, y, true);
    if (kind === "panstart") this.selection.begin(at);
    else this.selection.extend(at, kind === "panend");
    this.later();
  }

  buildTools() {
    this.host.querySelectorAll("input[name^=tool]").forEach((input) => input.addEventListener("change", () => {
      this.selection.tool = input.value;
      this.selection.corner = null;
      const zoom = this.page.model(`map${this.index}-zoom`);
      if (zoom) zoom.active = input.value === "zoom";
    }));
    this.host.querySelector(".keep-second").addEventListener("click", () => { this.selection.compare(); this.later(); });
    this.host.querySelector(".let-go").addEventListener("click", () => { this.selection.letGo(); this.later(); });
    const reach = this.host.querySelector("select.reach");
    reach.addEventListener("change", () => { this.reach = Number(reach.value); this.look(); });
    const focus = this.host.querySelector(".focus");
    focus.addEventListener("keydown", (event) => { if (this.selection.key(event)) { event.preventDefault(); this.later(); } });
  }

  look() {
    for (const tile of Object.values(this.tiles)) tile.show(this.place);
    this.parts.forEach((part) => this.page.showSpectrum(part, this.place, this.reach, this.selection.second));
    this.mark();
    this.read();
    if (!this.host) return;
    this.host.querySelector(".let-go").disabled = !this.selection.held;
    document.querySelectorAll(".compared").forEach((each) => { each.hidden = !this.page.scans.some((s) => s.selection.second); });
  }

  position(axis, i, n) {
    return axis.values ? axis.values[i] : axis.first + ((i + 0.5) * (axis.last - axis.first)) / n;
  }

  where(place = this.place) {
    const { x, y } = this.told;
    const at = (axis, ends, n) => {
      const told = [...new Set(ends)].map((i) => tell(this.position(axis, i, n)));
      return `${axis.name} ${told.join("–")} ${axis.units}`.trim();
    };
    const told = this.told.leads.length ? [this.told.leads[place.lead]] : [];
    if (x) told.push(at(x, place.columns || [place.column], this.told.columns));
    if (y) told.push(at(y, place.rows || [place.row], this.told.rows));
    return told.join(", ");
  }

  // index of the place that is kept in the array of a data set, "[3, 7]"; ".mean(…)" of an area
  pythonIndex() {
    const { full, bins, kind } = this.told, place = this.selection.kept;
    if (kind === "point") return "";
    const long = full.map((n, i) => i).filter((i) => full[i] > 1), index = full.map(() => "0"), means = [];
    const slice = (ends, b) => (ends[0] === ends[1] && b === 1 ? String(ends[0]) : `${ends[0] * b}:${(ends[1] + 1) * b}`);
    const last = [["rows", "row", 0], ["columns", "column", 1]].slice(kind === "line" ? 1 : 0);
    let rest = place.lead;
    long.slice(0, -last.length).reverse().forEach((i) => { index[i] = String(rest % full[i]); rest = Math.floor(rest / full[i]); });
    long.slice(-last.length).forEach((i, n) => {
      const [ends, one, axis] = last[n];
      index[i] = slice(place[ends] || [place[one], place[one]], bins[axis]);
    });
    index.filter((each) => !/^\d+$/.test(each)).forEach((_, n) => means.push(n));
    return `[${index.join(", ")}]${means.length ? `.mean(${means.length > 1 ? `(${means.join(", ")})` : 0})` : ""}`;
  }

  // " of 4 × 5 pixels" that a spectrum is the mean of; "" of one
  size(place, part) {
    if (this.told.kind === "point") return "";
    const counts = place.rows
      ? [place.rows, place.columns].map(([a, b], i) => (b - a + 1) * this.told.bins[i])
      : part.bin.map((b) => b * (1 + 2 * this.reach));
    if (counts[0] * counts[1] === 1) return "";
    return `, mean of ${this.told.kind === "line" ? counts[1] : counts.join(" × ")} pixels`;
  }

  // --- layers: every map by a key, with what it is called and how it is coloured

  setLayers() {
    const { rows, columns } = this.told, names = this.page.names;
    this.told.sets.forEach((set, s) => {
      const part = this.page.parts[set.part];
      const suffix = this.told.sets.length > 1 ? ` in ${set.owners.join(", ")}` : "";
      const maps = part.numbers.map((k, j) => {
        const all = part.left.subarray(j * part.pixels, (j + 1) * part.pixels);
        const range = limits(all);
        const colours = range.both ? this.page.palettes.both : this.page.ramps[k];
        const errors = part.mapErrors && part.mapErrors.subarray(j * part.pixels, (j + 1) * part.pixels);
        return { key: `s${s}c${k}`, number: k, all, errors, rows, columns, ...range, colours, suffix,
          title: `Component ${names[k]}${suffix}`, short: names[k] };
      });
      const some = maps.slice(0, SEVERAL), title = `Overlay${maps.length > SEVERAL ? ` of the first ${SEVERAL}` : ""}${suffix}`;
      if (maps.length > 1) this.layers[`s${s}all`] = { key: `s${s}all`, maps: some, rows, columns, title, short: "overlay" };
      maps.forEach((map) => { this.layers[map.key] = map; });
    });
    this.parts.forEach((part, i) => {
      const several = this.parts.length > 1 ? ` of ${part.name}` : "";
      this.layers[`p${i}rms`] = { key: `p${i}rms`, all: part.rms, rows, columns, low: quantile(part.rms, 0.002), high: limits(part.rms).high,
        colours: this.page.palettes.left, title: `Root mean square residual${several}`, short: "residual, rms" };
    });
  }

  // maps of the channel that the reader points at
  setChannel(part) {
    const i = this.parts.indexOf(part), found = part.map(part.window(part.channel, part.width));
    const label = this.page.channelName(part), several = this.parts.length > 1 ? `${part.name} ` : "";
    const highs = ["measured", "fit"].map((key) => (found[key] ? quantile(found[key].values, key === "fit" ? 0.998 : 0.99) : 0));
    const lows = ["measured", "fit"].map((key) => (found[key] ? quantile(found[key].values, 0.01) : 0));
    const high = Math.max(...highs) || 1, low = Math.min(0, ...lows);
    for (const key of ["measured", "fit", "left"]) {
      if (!found[key]) continue;
      const range = key === "left" ? this.even(found.left.values) : { low, high };
      const word = key === "left" ? "measured − fit" : key;
      this.layers[`p${i}${key}`] = { key: `p${i}${key}`, all: found[key].values, rows: found[key].rows, columns: found[key].columns,
        ...range, colours: key === "left" ? this.page.palettes.both : GREYS, title: `${several}${word} at ${label}`, short: word };
    }
    return ["measured", "fit", "left"].filter((key) => found[key]).map((key) => `p${i}${key}`);
  }

  // after a component was given another name
  rename(k, name) {
    for (const layer of Object.values(this.layers)) {
      if (layer.number !== k) continue;
      layer.title = `Component ${name}${layer.suffix}`;
      layer.short = name;
      this.tiles[layer.key].call(layer.title, name);
    }
    if (this.choose) this.choose(this.chosen);
    else this.read();
  }

  even(values) {
    const size = quantile(values.map(Math.abs), 0.99) || 1;
    return { low: -size, high: size };
  }

  pixelsOf(layer) {
    if (layer.maps) {
      const maps = layer.maps.filter((map) => !this.page.off.has(map.number));
      const shown = maps.length ? maps : layer.maps;
      return overlay(shown.map((map) => ({ values: this.image(map.all, map.rows, map.columns), high: map.high })),
        shown.map((map) => this.page.colours[map.number]));
    }
    return paint({ ...layer, values: this.image(layer.all, layer.rows, layer.columns) });
  }

  draw(keys) {
    for (const key of keys) {
      const layer = this.layers[key];
      if (this.tiles[key]) this.tiles[key].draw(this.pixelsOf(layer), layer.rows, layer.columns);
      if (key === this.chosen) this.drawLarge();
    }
  }
}
