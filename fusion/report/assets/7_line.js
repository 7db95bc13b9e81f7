// A scan that is a line, or a single point: curves along it.
"use strict";

class LineScan extends Scan {
  paint() {}

  build() {
    const { x, columns } = this.told, n = columns;
    if (!x) { this.along = null; return; }
    this.along = x.values || Array.from({ length: n }, (_, i) => x.first + ((i + 0.5) * (x.last - x.first)) / n);
    this.told.sets.forEach((set, s) => {
      const part = this.page.parts[set.part], data = { x: this.along };
      part.numbers.forEach((k, j) => { data[`c${k}`] = Float64Array.from(part.left.subarray(j * part.pixels, (j + 1) * part.pixels)); });
      this.page.model(`profile${this.index}.${s}-source`).data = data;
    });
    this.parts.forEach((part) => {
      this.page.model(`rms${part.index}-source`).data = { x: this.along, rms: Float64Array.from(part.rms) };
      this.showChannel(part);
    });
    this.buildTools();
  }

  mark() {
    if (!this.along) return;
    const names = this.told.sets.map((_, s) => `profile${this.index}.${s}`);
    this.parts.forEach((part) => names.push(`along${part.index}`, `rms${part.index}`));
    const { columns } = this.place, half = Math.abs(this.told.x.last - this.told.x.first) / this.told.columns / 2;
    const ends = (columns || []).map((c) => this.along[c]);
    for (const name of names) {
      this.page.model(`${name}-spot`).location = this.along[this.place.column];
      const area = this.page.model(`${name}-area`);
      if (columns) area.setv({ left: Math.min(...ends) - half, right: Math.max(...ends) + half });
      area.visible = Boolean(columns);
    }
  }

  read() {
    const told = this.host && this.host.querySelector(".readout");
    if (!told) return;
    const set = this.told.sets[0], part = set && this.page.parts[set.part];
    const { columns, column } = this.place, [first, last] = columns || [column, column];
    const values = part ? part.numbers.map((k, j) => {
      const from = j * part.pixels + this.pixel({ ...this.place, column: first });
      const error = part.mapErrors ? plusMinus(part.mapErrors[from]) : "";
      const value = tell(mean([...part.left.subarray(from, from + last - first + 1)]));
      return `${this.page.names[k]}: ${value}${columns ? " on average" : error}`;
    }) : [];
    told.textContent = `${this.where()}\n${values.join("   ")}`;
  }

  showChannel(part) {
    if (!this.along) return;
    const found = part.map(part.window(part.channel, part.width)), n = this.along.length;
    const spread = (map) => (map ? Float64Array.from({ length: n }, (_, i) => map.values[Math.floor((i * map.columns) / n)]) : new Float64Array(n).fill(NaN));
    this.page.model(`along${part.index}-source`).data = { x: this.along, measured: spread(found.measured), fit: spread(found.fit) };
  }
}
