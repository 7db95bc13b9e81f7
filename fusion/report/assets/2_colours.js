// Colours of maps: a component's own from black to white, both signs from blue to red, an overlay.
"use strict";
const DARK = [10, 11, 15], NONE = [201, 206, 214];

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

function between(a, b, t) {
  return a.map((x, i) => x + (b[i] - x) * t);
}

function luminance(hex) {
  const parts = rgb(hex).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}

function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

// the colour, darker or lighter until a line of it is seen on the background: 3 : 1, as WCAG 2.2 asks (1.4.11)
function legible(hex, background, least = 3.05) {
  const to = luminance(background) > 0.3 ? [0, 0, 0] : [255, 255, 255];
  for (let t = 0; t <= 1; t += 0.02) {
    const made = between(rgb(hex), to, t).map((c) => Math.round(c).toString(16).padStart(2, "0"));
    if (contrast(`#${made.join("")}`, background) >= least) return `#${made.join("")}`;
  }
  return hex;
}

function ramp(hex) {
  const colour = rgb(hex), top = between(colour, [255, 255, 255], 0.88), turn = 0.62;
  return Array.from({ length: 256 }, (_, i) => {
    const t = i / 255;
    return t < turn ? between(DARK, colour, t / turn) : between(colour, top, (t - turn) / (1 - turn));
  });
}

function palette(text) {
  const bytes = atob(text);
  return Array.from({ length: 256 }, (_, i) => [0, 1, 2].map((c) => bytes.charCodeAt(3 * i + c)));
}

const GREYS = Array.from({ length: 256 }, (_, i) => between(DARK, [250, 250, 250], i / 255));

function write(pixels, i, colour) {
  pixels[4 * i] = colour[0];
  pixels[4 * i + 1] = colour[1];
  pixels[4 * i + 2] = colour[2];
  pixels[4 * i + 3] = 255;
}

// RGBA of one map
function paint(map) {
  const pixels = new Uint8ClampedArray(4 * map.values.length), width = map.high - map.low || 1;
  map.values.forEach((value, i) => {
    const t = Math.min(1, Math.max(0, (value - map.low) / width));
    write(pixels, i, Number.isFinite(value) ? map.colours[Math.round(255 * t)] : NONE);
  });
  return pixels;
}

// RGBA of several maps in their colours, added; where that is too bright the hue is kept
function overlay(maps, hexes) {
  const n = maps[0].values.length, pixels = new Uint8ClampedArray(4 * n), colours = hexes.map(rgb);
  for (let i = 0; i < n; i++) {
    const sum = [0, 0, 0];
    let seen = false;
    maps.forEach((map, k) => {
      const t = Math.min(1, Math.max(0, map.values[i] / (map.high || 1)));
      if (!Number.isFinite(t)) return;
      seen = true;
      colours[k].forEach((c, j) => { sum[j] += t * c; });
    });
    const over = Math.max(1, ...sum.map((c) => c / 255));
    write(pixels, i, seen ? sum.map((c, j) => Math.max(c / over, DARK[j])) : NONE);
  }
  return pixels;
}

// lowest and highest colour: from zero, or as far below as above; a hot pixel does not set it
function limits(values) {
  const sorted = finite(values);
  if (!sorted.length) return { low: 0, high: 1, both: false };
  const most = sorted[sorted.length - 1], least = sorted[0];
  const top = quantile(sorted, 0.998), high = most > 1.5 * top && top > 0 ? top : most;
  const both = least < -0.1 * Math.max(high, 0);
  const size = Math.max(high, Math.abs(quantile(sorted, 0.002))) || 1;
  return both ? { low: -size, high: size, both } : { low: 0, high: high || 1, both };
}
