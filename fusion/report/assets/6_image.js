// A scan that is an image, or a stack of them: the large map, small ones beside it.
"use strict";

class ImageScan extends Scan {
  build() {
    this.setLayers();
    const strip = (title) => {
      const holder = element("div", "strip");
      holder.append(element("h4", "", title));
      const row = element("div", "tiles");
      holder.append(row);
      this.host.querySelector(".strips").append(holder);
      return row;
    };
    const add = (row, key) => { this.tiles[key] = new Tile(row, this, this.layers[key].short, key); };
    this.told.sets.forEach((set, s) => {
      const row = strip(this.told.sets.length > 1 ? `Components in ${set.owners.join(", ")}` : "Components");
      Object.keys(this.layers).filter((key) => key.startsWith(`s${s}`)).forEach((key) => add(row, key));
      this.heads = this.heads || [];
    });
    this.channelHeads = new Map();
    this.parts.forEach((part, i) => {
      const row = strip("");
      this.channelHeads.set(part, row.previousSibling);
      this.setChannel(part).forEach((key) => add(row, key));
      add(row, `p${i}rms`);
    });
    this.buildControls();
    this.choose(Object.keys(this.layers)[0]);
    this.draw(Object.keys(this.layers));
  }

  buildControls() {
    const reach = this.host.querySelector("select.reach");
    reach.addEventListener("change", () => { this.reach = Number(reach.value); this.look(); });
    const slider = this.host.querySelector("input.lead");
    if (!slider) return;
    slider.value = this.lead;
    this.tellLead();
    slider.addEventListener("input", () => {
      this.lead = Number(slider.value);
      this.pinned = { ...this.pinned, lead: this.lead };
      this.place = this.pinned;
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
        chip.style.setProperty("--colour", this.page.colours[map.number]);
        holder.append(chip);
      });
      return;
    }
    const strip = element("span", "gradient");
    const stops = layer.colours.filter((_, i) => i % 15 === 0).map((c) => `rgb(${c.map(Math.round).join(",")})`);
    strip.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    holder.append(element("span", "", tell(layer.low, 3)), strip, element("span", "", tell(layer.high, 3)));
  }

  scale() {
    if (!this.told.length) return;
    const range = this.page.model(`map${this.index}`).x_range;
    bar(this.host.querySelector(".large .bar"), range.end - range.start, this.told.x.units);
  }

  mark() {
    const { x, y, rows, columns } = this.told, { row, column } = this.place;
    const w = (x.last - x.first) / columns, h = (y.last - y.first) / rows, size = 1 + 2 * this.reach;
    const steps = this.parts.map((part) => part.step), up = Math.max(...steps.map((s) => s[0])), on = Math.max(...steps.map((s) => s[1]));
    const r = (Math.floor(row / up) + 0.5) * up, c = (Math.floor(column / on) + 0.5) * on;
    this.page.model(`map${this.index}-spot`).data = { x: [x.first + c * w], y: [y.first + r * h],
      w: [Math.abs(w) * on * size], h: [Math.abs(h) * up * size] };
  }

  read() {
    const layer = this.layers[this.chosen], told = this.host.querySelector(".readout");
    const value = (map) => {
      const r = Math.floor((this.place.row * map.rows) / this.told.rows), c = Math.floor((this.place.column * map.columns) / this.told.columns);
      return tell(map.all[(this.place.lead * map.rows + r) * map.columns + c]);
    };
    const values = layer.maps ? layer.maps.map((map) => `${map.short}: ${value(map)}`).join("   ") : value(layer);
    told.textContent = `${this.where()}   →   ${values}`;
  }

  showChannel(part) {
    const keys = this.setChannel(part);
    this.channelHeads.get(part).textContent = `${this.parts.length > 1 ? `${part.name} at` : "At"} ${this.page.channelName(part)}`;
    this.draw(keys);
    this.read();
  }
}
