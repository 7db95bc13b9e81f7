// Packed arrays and texts: base64 of deflated bytes; numbers have their first bytes first, then the second ones …
"use strict";
const NOTHING = 65535;

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

function gather(planes, size) {
  const n = planes.length / size, bytes = new Uint8Array(planes.length);
  for (let s = 0; s < size; s++) for (let i = 0; i < n; i++) bytes[size * i + s] = planes[s * n + i];
  return bytes.buffer;
}

// codes of rows whose entries are differences of neighbours
function sumSteps(codes, width) {
  let code = 0;
  for (let i = 0; i < codes.length; i++) {
    if (i % width === 0) code = 0;
    code = (code + ((codes[i] >>> 1) ^ -(codes[i] & 1))) & 65535;
    codes[i] = code;
  }
}

async function unpack(packed) {
  const buffer = gather(new Uint8Array(await inflate(packed.text)), Number(packed.kind[1]));
  if (packed.kind === "f4") return new Float32Array(buffer);
  const [low, step] = [await unpack(packed.low), await unpack(packed.step)];
  const codes = new Uint16Array(buffer), width = low.length, values = new Float32Array(codes.length);
  if (packed.steps) sumSteps(codes, width);
  for (let i = 0, c = 0; i < codes.length; i++, c = c + 1 === width ? 0 : c + 1) {
    values[i] = codes[i] === NOTHING ? NaN : low[c] + codes[i] * step[c];
  }
  return values;
}

async function unpackAll(arrays) {
  const found = {};
  for (const name of Object.keys(arrays)) found[name] = await unpack(arrays[name]);
  return found;
}

// the script that an element holds, deflated
async function runPacked(id) {
  const made = document.createElement("script");
  made.textContent = new TextDecoder().decode(await inflate(document.getElementById(id).textContent.trim()));
  document.head.append(made);
  made.remove();
}

function finite(values) {
  return Float32Array.from(values).filter(Number.isFinite).sort();
}

function quantile(values, share) {
  const sorted = finite(values);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}

function mean(values) {
  const seen = values.filter(Number.isFinite);
  return seen.length ? seen.reduce((a, b) => a + b, 0) / seen.length : NaN;
}

function tell(value, digits = 4) {
  if (!Number.isFinite(value)) return "masked";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3)
    ? value.toExponential(digits - 2).replace(/e\+?(-?)(\d+)/, (_, s, e) => " × 10" + raise(s + e))
    : String(parseFloat(value.toPrecision(digits)));
  return text.replace("-", "−");
}

// " ± 0.3"; " ± ∞" where the data leave it open, "" where there is none, as at a bound
function plusMinus(error) {
  if (error === Infinity) return " ± ∞";
  return Number.isFinite(error) ? ` ± ${tell(error, 2)}` : "";
}

function raise(text) {
  return [...text].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
}
