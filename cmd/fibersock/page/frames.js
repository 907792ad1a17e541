// The frames of a message. A browser does not show them to pages. For a
// connection to /echo of this server, the server has counted them. For others
// the page computes a single frame, and compresses the message for an estimate.

import { button, element, formatSize } from './format.js';
import { framesOf } from './server.js';

const maxCompressed = 4 << 20; // bytes that the page compresses
const maxShown = 100; // frames

// newFramesName returns a name for a connection that nobody guesses.
export function newFramesName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

// framesView returns the element that shows the frames of an entry when it is
// opened.
export function framesView(entry) {
  const content = element('div', { class: 'frames' });
  const details = element('details', { 'data-part': 'frames' }, element('summary', {}, 'Frames'), content);
  details.addEventListener('toggle', async () => {
    if (!details.open || content.childElementCount > 0) return;
    content.append(element('p', { class: 'hint' }, 'Loading…'));
    content.replaceChildren(...await draw(entry));
  });
  return details;
}

async function draw(entry) {
  const { framesName, number, dir, size, compressed } = entry;
  const counted = framesName ? await framesOf(framesName, dir === 'in' ? 'sent' : 'received', number) : null;
  if (counted) return [source('counted', 'Counted by this server, which reads and writes the frames.'), ...table(counted, size)];
  const payload = compressed ? await compressedSize(entry.payload) : size;
  const masked = dir === 'out';
  const frame = { opcode: entry.type === 'text' ? 1 : 2, fin: true, rsv1: Boolean(compressed), masked, payload, header: headerSize(payload, masked) };
  return [
    source('computed', 'Computed by the page: the browser shows no frames. It assumes one frame for the message' +
      (compressed ? ', and compresses the message alone; with context takeover it is smaller on the wire.' : '.')),
    ...table([frame], size)];
}

const source = (kind, text) => element('p', { class: 'hint', 'data-source': kind }, text);

function table(frames, size) {
  const opcodes = { 0: '0 continuation', 1: '1 text', 2: '2 binary' };
  const bit = (set) => (set ? '1' : '0');
  const row = (f) => element('tr', {},
    element('td', {}, opcodes[f.opcode] || String(f.opcode)), element('td', {}, bit(f.fin)), element('td', {}, bit(f.rsv1)),
    element('td', {}, bit(f.masked)), element('td', {}, `${f.header} B`), element('td', {}, f.payload === null ? 'unknown' : `${f.payload} B`));
  const head = ['Opcode', 'FIN', 'RSV1', 'MASK', 'Header', 'Payload'].map((name) => element('th', { scope: 'col' }, name));
  const rows = element('tbody', {}, ...frames.slice(0, maxShown).map(row));
  const parts = [element('table', {}, element('thead', {}, element('tr', {}, ...head)), rows)];
  if (frames.length > maxShown) {
    const more = button(`Show ${frames.length - maxShown} more`, { class: 'quiet' }, () => {
      rows.append(...frames.slice(maxShown).map(row));
      more.remove();
    });
    parts.push(more);
  }
  if (frames.every((f) => f.payload !== null)) {
    const wire = frames.reduce((sum, f) => sum + f.payload, 0);
    const headers = frames.reduce((sum, f) => sum + f.header, 0);
    const deflated = frames[0].rsv1;
    parts.push(element('p', { class: 'frames-sum', 'data-before': size, 'data-after': wire },
      deflated
        ? `${formatSize(size)} before compression, ${formatSize(wire)} after${size > 0 ? ` (${Math.round((100 * wire) / size)} %)` : ''}, and ${headers} B of headers.`
        : `${formatSize(size)}, not compressed, and ${headers} B of headers.`));
  }
  return parts;
}

const headerSize = (payload, masked) => 2 + (payload > 65535 ? 8 : payload > 125 ? 2 : 0) + (masked ? 4 : 0);

async function compressedSize(payload) {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  if (bytes.length > maxCompressed || typeof CompressionStream === 'undefined') return null;
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return (await new Response(stream).arrayBuffer()).byteLength;
}
