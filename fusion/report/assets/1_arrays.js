// Packed arrays: base64 of deflated float32, or of 16-bit steps between the extremes of every column.
"use strict";
const NOTHING = 65535;

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

async function unpack(packed) {
  const buffer = await inflate(packed.text);
  if (packed.kind === "f4") return new Float32Array(buffer);
  const [low, step] = [await unpack(packed.low), await unpack(packed.step)];
  const codes = new Uint16Array(buffer);
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    const c = i % low.length;
    values[i] = codes[i] === NOTHING ? NaN : low[c] + codes[i] * step[c];
  }
  return values;
}

async function unpackAll(arrays) {
  const found = {};
  for (const name of Object.keys(arrays)) found[name] = await unpack(arrays[name]);
  return found;
}

function finite(values) {
  return Float32Array.from(values).filter(Number.isFinite).sort();
}

function quantile(values, share) {
  const sorted = finite(values);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}

function tell(value, digits = 4) {
  if (!Number.isFinite(value)) return "masked";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3)
    ? value.toExponential(digits - 2).replace(/e\+?(-?)(\d+)/, (_, s, e) => " × 10" + raise(s + e))
    : String(parseFloat(value.toPrecision(digits)));
  return text.replace("-", "−");
}

function raise(text) {
  return [...text].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
}
