// Small maps: a canvas with a title, a scale bar and a mark where the reader points.
"use strict";

function element(kind, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function niceLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return Math.max(...[1, 2, 5].map((m) => m * power).filter((x) => x <= most));
}

// a length in the unit that gives a number from 1 to 1000: "10 nm" for 0.01 µm
function lengthText(length, units) {
  const sizes = { pm: 1e-12, nm: 1e-9, "µm": 1e-6, mm: 1e-3, m: 1 }, here = units === "Å" ? 1e-10 : sizes[units];
  let told = [length, units];
  if (here && !(length > 1 - 1e-9 && length < 1000)) {
    const all = Object.entries(sizes).map(([name, size]) => [(length * here) / size, name]);
    told = all.filter(([number]) => number > 1 - 1e-9).pop() ?? all[0];
  }
  return `${parseFloat(told[0].toPrecision(3))} ${told[1]}`.trim();
}

// a bar with its length on it, as a share of the width that is shown
function bar(holder, extent, units) {
  const length = niceLength(Math.abs(extent) * 0.3);
  holder.style.width = `${(100 * length) / Math.abs(extent)}%`;
  holder.textContent = lengthText(length, units);
}

class Tile {
  constructor(host, view, title, key) {
    this.view = view;
    this.key = key;
    this.box = element("button", "tile");
    this.box.type = "button";
    this.box.dataset.layer = key;
    this.frame = element("span", "frame");
    this.canvas = element("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.mark = element("span", "mark");
    this.frame.append(this.canvas, this.mark);
    if (view.told.length) {
      this.bar = element("span", "bar");
      bar(this.bar, view.told.x.last - view.told.x.first, view.told.x.units);
      this.frame.append(this.bar);
    }
    this.title = element("span", "name", title);
    this.box.append(this.frame, this.title);
    host.append(this.box);
    this.frame.style.aspectRatio = String(view.shape());
    this.box.addEventListener("mousemove", (event) => view.point(this.at(event), false));
    this.box.addEventListener("mouseleave", () => view.point(null, false));
    this.box.addEventListener("click", () => view.choose(this.key));
  }

  // "Component shell"
  call(title, short) {
    this.title.textContent = short;
    this.box.setAttribute("aria-label", `${title}: show it large`);
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect(), { rows, columns } = this.view.told;
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const inside = row >= 0 && row < rows && column >= 0 && column < columns;
    return inside ? { row, column } : null;
  }

  draw(pixels, rows, columns) {
    this.canvas.width = columns;
    this.canvas.height = rows;
    this.canvas.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0);
  }

  show(place) {
    const { rows, columns } = this.view.told;
    this.mark.style.left = `${(100 * (place.column + 0.5)) / columns}%`;
    this.mark.style.top = `${(100 * (place.row + 0.5)) / rows}%`;
  }
}
