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
    this.pinned = this.first();
    this.place = this.pinned;
  }

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
    if (at) this.place = { lead: this.lead, ...at };
    else this.place = this.pinned;
    if (at && keep) this.pinned = this.place;
    this.page.later(this, () => this.look());
  }

  // where a figure says that the mouse is
  pointAt(x, y, keep) {
    if (x === null) return this.point(null, false);
    const { rows, columns } = this.told, along = this.told.x, down = this.told.y;
    const column = Math.floor(((x - along.first) / (along.last - along.first)) * columns);
    const row = down ? Math.floor(((y - down.first) / (down.last - down.first)) * rows) : 0;
    if (row < 0 || row >= rows || column < 0 || column >= columns) return undefined;
    return this.point({ row, column }, keep);
  }

  look() {
    for (const tile of Object.values(this.tiles)) tile.show(this.place);
    this.parts.forEach((part) => this.page.showSpectrum(part, this.place, this.reach));
    this.mark();
    this.read();
  }

  where() {
    const { x, y } = this.told, place = this.place;
    const at = (axis, i, n) => {
      const value = axis.values ? axis.values[i] : axis.first + ((i + 0.5) * (axis.last - axis.first)) / n;
      return `${axis.name} ${tell(value)} ${axis.units}`.trim();
    };
    const told = this.told.leads.length ? [this.told.leads[place.lead]] : [];
    if (x) told.push(at(x, place.column, this.told.columns));
    if (y) told.push(at(y, place.row, this.told.rows));
    return told.join(", ");
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
        return { key: `s${s}c${k}`, number: k, all, rows, columns, ...range, colours,
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
