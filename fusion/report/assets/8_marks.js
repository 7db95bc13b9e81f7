// Names of lines and edges above a spectrum: in rows, so that none covers another at any zoom.
"use strict";

const MARK_ROW = 13, MARK_GAP = 5; // CSS pixels

class Marks {
  constructor(page, part) {
    [this.page, this.part, this.asked] = [page, part, false];
    this.pen = document.createElement("canvas").getContext("2d");
    this.kinds = ["spectrum", "log", "parts", "partslog"].filter((kind) => page.model(`${kind}${part.index}`));
    this.range = page.model(`energies${part.index}`);
    const later = () => this.later();
    this.range.change.connect(later);
    for (const kind of this.kinds) page.model(`${kind}${part.index}`).properties.inner_width.change.connect(later);
    this.place();
  }

  later() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.place(); });
  }

  place() {
    for (const kind of this.kinds) {
      const name = `${kind}${this.part.index}`, shown = kind.replace("log", "") || "spectrum";
      const frame = this.page.model(name).inner_width ? this.page.model(name) : this.page.model(`${shown}${this.part.index}`);
      const marks = Bokeh.documents[0].all_models;
      this.inRows([...marks].filter((mark) => mark.name === `mark of ${name}`), frame.inner_width, frame.inner_height);
    }
  }

  // the highest row that is free; right of the line, or left of it at the end of the frame
  inRows(marks, width, height) {
    if (!width) return;
    const { start, end } = this.range, rows = [], most = Math.max(Math.floor((0.6 * height) / MARK_ROW), 1);
    const at = (mark) => ((mark.x - start) / (end - start)) * width;
    for (const mark of marks.sort((a, b) => a.x - b.x)) {
      this.pen.font = `${mark.text_font_size?.value ?? mark.text_font_size} ${mark.text_font?.value ?? mark.text_font}`;
      const long = this.pen.measureText(mark.text).width, x = at(mark), left = x + 3 + long > width;
      const first = left ? x - 3 - long : x + 3;
      const free = rows.findIndex((last) => last + MARK_GAP <= first), row = free < 0 ? rows.length : free;
      const inside = x >= 0 && x <= width && row < most;
      if (inside) rows[row] = first + long;
      mark.setv({ visible: inside, x_offset: left ? -3 - long : 3, y: height - 2 - MARK_ROW * row });
    }
  }
}
