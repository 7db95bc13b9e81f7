// A scan that is an image, or a stack of them: the large map, small ones beside it.
"use strict";

class ImageScan extends Scan {
  // small maps, which need no library
  paint() {
    this.setLayers();
    const holder = this.host.querySelector(".strips");
    this.told.sets.forEach((set, s) => {
      holder.append(element("h4", "", this.told.sets.length > 1 ? `Components in ${set.owners.join(", ")}` : "Components"));
      const few = this.told.sets.length > 1 ? 5 : 3;
      this.addTiles(holder, Object.keys(this.layers).filter((key) => key.startsWith(`s${s}`)), few);
    });
    this.parts.forEach((part, i) => {
      this.addTiles(document.getElementById(`maps${part.index}`), [...this.setChannel(part), `p${i}rms`], 4);
    });
    this.draw(Object.keys(this.layers));
  }

  build() {
    this.buildControls();
    this.choose(Object.keys(this.layers)[0]);
  }

  // a few large tiles in a row; more of them where there are many
  addTiles(holder, keys, few) {
    const row = element("div", "tiles"), across = keys.length > 2 * few ? Math.max(few, 5) : few;
    if (few === 3 && keys.length === 4) row.classList.add("four");
    else row.style.gridTemplateColumns = `repeat(${across}, minmax(0, 1fr))`;
    holder.append(row);
    keys.forEach((key) => { 
      this.tiles[key] = new Tile(row, this, this.layers[key].short, key);
      this.tiles[key].call(this.layers[key].title, this.layers[key].short);
    });
  }

  buildControls() {
    this.buildTools();
    const slider = this.host.querySelector("input.lead");
    if (!slider) return;
    slider.value = this.lead;
    this.tellLead();
    slider.addEventListener("input", () => {
      this.lead = Number(slider.value);
      this.selection.turn(this.lead);
      this.tellLead();
      this.draw(Object.keys(this.layers));
      this.look();
    });
  }

  tellLead() {
    this.host.querySelector("output.lead").textContent = this.told.leads[this.lead];
  }

  choose(key) {
    this.chosen = key;
    for (const tile of Object.values(this.tiles)) tile.box.classList.toggle("chosen", tile.key === key);
    this.drawLarge();
    this.read();
  }

  drawLarge() {
    const layer = this.layers[this.chosen], { rows, columns } = layer;
    const source = this.page.model(`map${this.index}-source`);
    const pixels = new Uint32Array(this.pixelsOf(layer).buffer), turned = new Uint32Array(pixels.length);
    const { x, y } = this.told, mirrored = x.last < x.first, up = y.last < y.first;
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const row = up ? rows - 1 - r : r, column = mirrored ? columns - 1 - c : c;
        turned[row * columns + column] = pixels[r * columns + c];
      }
    }
    const { ndarray } = Bokeh.require("core/util/ndarray");
    const image = ndarray(turned.buffer, { dtype: "uint32", shape: [rows, columns] });
    source.data = { ...source.data, image: [image] };
    this.host.querySelector(".large-title").textContent = layer.title;
    this.key(layer);
    this.scale();
  }

  // what the colours mean
  key(layer) {
    const holder = this.host.querySelector(".key");
    holder.replaceChildren();
    if (layer.maps) {
      layer.maps.forEach((map) => {
        const chip = element("span", "chip", map.short);
        chip.style.setProperty("--colour", `var(--c${map.number})`);
        holder.append(chip);
      });
      return;
    }
    const strip = element("span", "gradient");
    const stops = layer.colours.filter((_, i) => i % 15 === 0).map((c) => `rgb(${c.map(Math.round).join(",")})`);
    strip.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    holder.append(element("span", "", tell(layer.low, 3)), strip, element("span", "", tell(layer.high, 3)));
  }

  // after a zoom: equal lengths along both axes, and a scale bar that fits
  scale() {
    if (this.told.equal) this.keepShape();
    if (!this.told.length) return;
    const range = this.page.model(`map${this.index}`).x_range;
    bar(this.host.querySelector(".large .bar"), range.end - range.start, this.told.x.units);
  }

  keepShape() {
    const { x_range, y_range } = this.page.model(`map${this.index}`), { x, y } = this.told;
    const share = (range, axis, a, b) => (range[b] - range[a]) / (axis.last - axis.first);
    const [across, down] = [share(x_range, x, "start", "end"), share(y_range, y, "end", "start")];
    const wanted = Math.min(1, Math.max(across, down));
    if (Math.abs(across - down) < 1e-3 && wanted >= across) return;
    for (const [range, axis, a, b] of [[x_range, x, "start", "end"], [y_range, y, "end", "start"]]) {
      const whole = axis.last - axis.first, middle = ((range[a] + range[b]) / 2 - axis.first) / whole;
      const from = Math.min(1 - wanted, Math.max(0, middle - wanted / 2));
      range.setv({ [a]: axis.first + from * whole, [b]: axis.first + (from + wanted) * whole });
    }
  }

  mark() {
    const { second, line } = this.selection, letter = (text) => (second ? text : "");
    this.page.model(`map${this.index}-spot`).data = this.box([this.place], letter("A"));
    this.page.model(`map${this.index}-second`).data = this.box(second && second.lead === this.lead ? [second] : [], letter("B"));
    const at = (axis, i, n) => axis.first + ((i + 0.5) * (axis.last - axis.first)) / n, { x, y, rows, columns } = this.told;
    const ends = line ? [line.from, line.to] : [];
    this.page.model(`map${this.index}-line`).data = { x: ends.map((e) => at(x, e.column, columns)), y: ends.map((e) => at(y, e.row, rows)) };
    this.showAcross();
  }

  // rectangles around pixels, as far as their spectra are averaged, or around areas
  box(places, text) {
    const { x, y, rows, columns } = this.told, w = (x.last - x.first) / columns, h = (y.last - y.first) / rows;
    const data = { x: [], y: [], w: [], h: [], left: [], top: [], text: [] };
    for (const place of places) {
      const [top, bottom] = place.rows ? [place.rows[0], place.rows[1] + 1] : this.reached(place.row, 0);
      const [left, right] = place.columns ? [place.columns[0], place.columns[1] + 1] : this.reached(place.column, 1);
      data.x.push(x.first + ((left + right) / 2) * w);
      data.y.push(y.first + ((top + bottom) / 2) * h);
      data.w.push(Math.abs(w) * (right - left));
      data.h.push(Math.abs(h) * (bottom - top));
      data.left.push(x.first + left * w);
      data.top.push(y.first + top * h);
      data.text.push(text);
    }
    return data;
  }

  reached(i, axis) {
    const step = Math.max(...this.parts.map((part) => part.step[axis])), size = 1 + 2 * this.reach;
    const middle = (Math.floor(i / step) + 0.5) * step;
    return [middle - (step * size) / 2, middle + (step * size) / 2];
  }

  // components along the line
  showAcross() {
    const holder = this.host.querySelector(".across"), shown = this.selection.line && this.told.sets.length;
    if (holder.hidden !== !shown) {
      holder.hidden = !shown;
      this.told.sets.forEach((_, s) => { this.page.model(`across${this.index}.${s}`).visible = Boolean(shown); });
    }
    if (!shown) return;
    const { pixels, distance, length, units } = this.selection.samples();
    holder.querySelector(".length").textContent = units === "pixels" ? `${tell(length, 3)} pixels` : lengthText(length, units);
    this.told.sets.forEach((set, s) => {
      const part = this.page.parts[set.part], data = { x: distance };
      part.numbers.forEach((k, j) => { data[`c${k}`] = pixels.map((p) => part.left[j * part.pixels + p]); });
      this.page.model(`across${this.index}.${s}-source`).data = data;
      this.page.model(`across${this.index}.${s}`).below[0].axis_label = `distance (${units})`;
    });
  }

  read() {
    const layer = this.layers[this.chosen], told = this.host.querySelector(".readout");
    const value = (map) => {
      const r = Math.floor((this.place.row * map.rows) / this.told.rows), c = Math.floor((this.place.column * map.columns) / this.told.columns);
      const p = (this.place.lead * map.rows + r) * map.columns + c, error = map.errors ? plusMinus(map.errors[p]) : "";
      return `${this.areaMean(map) ?? tell(map.all[p])}${this.place.rows ? "" : error}`;
    };
    const values = layer.maps ? layer.maps.map((map) => `${map.short}: ${value(map)}`).join("   ") : value(layer);
    told.textContent = `${this.where()}\n${values}`;
  }

  // of a map whose pixels are those of the scan
  areaMean(map) {
    const { rows, columns, lead } = this.place, found = [];
    if (!rows || map.rows !== this.told.rows || map.columns !== this.told.columns) return undefined;
    for (let r = rows[0]; r <= rows[1]; r++) {
      for (let c = columns[0]; c <= columns[1]; c++) found.push(map.all[(lead * map.rows + r) * map.columns + c]);
    }
    return `${tell(mean(found))} on average`;
  }

  showChannel(part) {
    this.draw(this.setChannel(part));
    this.read();
  }
}
