// What a reader holds of one scan: a pixel or an area, a second one beside it, a line across the map.
"use strict";
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

class Selection {
  constructor(scan, first) {
    this.scan = scan;
    this.kept = first; // {lead, row, column}; an area has rows and columns, [first, last] of each, too
    this.place = first; // what is shown: what is pointed at, else what is kept
    this.second = null;
    this.line = null; // {from, to}, pixels
    this.corner = null; // where an area or a line begins that has no end yet
    this.tool = "zoom";
  }

  get marks() { return this.tool === "area" || this.tool === "line"; }

  get held() { return Boolean(this.second || this.line || this.corner || this.kept.rows); }

  point(at, keep) {
    if (this.corner) {
      if (at && keep) this.extend(at, true);
      return;
    }
    this.place = at ? { lead: this.scan.lead, row: at.row, column: at.column } : this.kept;
    if (at && keep) this.kept = this.place;
  }

  compare(at) {
    this.second = at ? { lead: this.scan.lead, ...at } : this.place;
  }

  begin(at) {
    if (this.marks) this.corner = { row: at.row, column: at.column };
  }

  extend(at, end) {
    if (!this.corner) return;
    if (this.tool === "line") this.line = { from: this.corner, to: { row: at.row, column: at.column }, lead: this.scan.lead };
    else this.place = this.area(this.corner, at);
    if (!end) return;
    if (this.tool === "area") this.kept = this.place;
    this.corner = null;
  }

  area(a, b) {
    const ends = (key) => [Math.min(a[key], b[key]), Math.max(a[key], b[key])];
    const rows = ends("row"), columns = ends("column"), middle = ([low, high]) => Math.floor((low + high) / 2);
    return { lead: this.scan.lead, row: middle(rows), column: middle(columns), rows, columns };
  }

  letGo() {
    const { lead, row, column } = this.kept;
    Object.assign(this, { second: null, line: null, corner: null, moving: null, kept: { lead, row, column } });
    this.place = this.kept;
  }

  // another image of the stack
  turn(lead) {
    this.kept = { ...this.kept, lead };
    if (this.line) this.line = { ...this.line, lead };
    this.place = this.kept;
  }

  // one key pressed on the map; whether it meant something
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (STEPS[event.key]) this.step(STEPS[event.key], event.shiftKey ? 10 : 1);
    else if (event.key === "Enter") this.enter();
    else if (event.key === "b" || event.key === "B") this.compare();
    else if (event.key === "Escape") this.letGo();
    else return false;
    return true;
  }

  step([down, right], size) {
    const { rows, columns } = this.scan.told, from = this.moving || this.place;
    const to = (i, by, n) => Math.min(n - 1, Math.max(0, i + by * size));
    const at = { row: to(from.row, down, rows), column: to(from.column, right, columns) };
    if (this.corner) {
      this.moving = at;
      this.extend(at, false);
    } else this.point(at, false);
  }

  // keeps a pixel; with a tool for areas or lines the first end, then the second
  enter() {
    const at = this.moving || this.place;
    this.moving = null;
    if (this.corner) this.extend(at, true);
    else if (this.marks) this.begin(at);
    else this.kept = this.place;
  }

  // pixels under the line and their distance from its beginning, with the unit
  samples() {
    const { from, to, lead } = this.line, { x, y, rows, columns } = this.scan.told;
    const down = to.row - from.row, right = to.column - from.column, n = Math.max(Math.abs(down), Math.abs(right), 1);
    const inUnit = y && x.units === y.units && x.units && !x.values && !y.values;
    const [w, h] = inUnit ? [(x.last - x.first) / columns, (y.last - y.first) / rows] : [1, 1];
    const length = Math.hypot(right * w, down * h), at = Array.from({ length: n + 1 }, (_, i) => i / n);
    return {
      pixels: at.map((t) => this.scan.pixel({ lead, row: Math.round(from.row + t * down), column: Math.round(from.column + t * right) })),
      distance: at.map((t) => t * length), length, units: inUnit ? x.units : "pixels",
    };
  }
}
