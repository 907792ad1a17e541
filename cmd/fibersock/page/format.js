// Small pure helpers shared by the views.

const encoder = new TextEncoder();

export const byteLength = (text) => encoder.encode(text).length;

export function formatSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1024;
    unit++;
  } while (value >= 1024 && unit < units.length - 1);
  return `${Number.isInteger(value) || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function formatMilliseconds(ms) {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  if (ms < 10000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

const pad = (n, width) => String(n).padStart(width, '0');

export function clock(date, withMilliseconds) {
  const hm = `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}`;
  return withMilliseconds ? `${hm}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}` : hm;
}

export function hexPreview(bytes, limit) {
  const shown = Array.from(bytes.subarray(0, limit), (b) => pad(b.toString(16), 2)).join(' ');
  return bytes.length > limit ? `${shown} …` : shown;
}

// A hex dump with offsets and the printable ASCII characters, of at most limit bytes.
export function hexDump(bytes, limit) {
  const lines = [];
  const end = Math.min(bytes.length, limit);
  for (let at = 0; at < end; at += 16) {
    const row = Array.from(bytes.subarray(at, Math.min(end, at + 16)));
    const hex = row.map((b) => pad(b.toString(16), 2)).join(' ').padEnd(47, ' ');
    lines.push(`${pad(at.toString(16), 6)}  ${hex}  ${row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.')).join('')}`);
  }
  return lines.join('\n');
}

// One line of a text: its beginning, with line breaks and tabs as signs.
export function preview(text, limit) {
  const signs = { '\n': '⏎', '\r': '', '\t': '⇥' };
  const line = text.slice(0, limit).replace(/[\n\r\t]/g, (c) => signs[c]);
  return text.length > limit ? `${line}…` : line;
}

export function base64(bytes) {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 32768) binary += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(binary);
}

// The index of the first byte that differs, or -1.
export function firstDifference(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : n;
}

// The value below which the fraction q of the sorted numbers lies.
export const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];

const codeNames = new Map([
  [1000, 'normal closure'], [1001, 'going away'], [1002, 'protocol error'], [1003, 'unsupported data'],
  [1005, 'no status code received'], [1006, 'lost, no Close frame received'], [1007, 'invalid frame payload data'], [1008, 'policy violation'],
  [1009, 'message too big'], [1010, 'mandatory extension'], [1011, 'internal error'], [1012, 'service restart'],
  [1013, 'try again later'], [1014, 'bad gateway'], [1015, 'TLS handshake'],
  [3000, 'unauthorized'], [3003, 'forbidden'], [3008, 'timeout'],
]);

export function codeName(code) {
  if (codeNames.has(code)) return codeNames.get(code);
  return code >= 4000 ? 'private use' : 'unassigned';
}

// element('p', {class: 'x', 'data-y': 1}, 'text', child): a text becomes a text node.
export function element(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

// button('Copy', {class: 'quiet'}, onClick)
export function button(label, attributes, onClick) {
  const e = element('button', { type: 'button', ...attributes }, label);
  e.addEventListener('click', onClick);
  return e;
}

export function showError(node, text, field) {
  node.textContent = text || '';
  node.hidden = !text;
  if (!field) return;
  if (text) field.setAttribute('aria-invalid', 'true');
  else field.removeAttribute('aria-invalid');
}
