// The rows of the message log: a line for each entry, and the details of an
// expanded one. Text of peers is in text nodes only.

import { copy, save } from './files.js';
import { button, clock, codeName, element, formatMilliseconds, formatSize, hexDump, hexPreview, preview } from './format.js';
import { expandAll, jsonTree, parseJSON } from './json.js';

const maxLine = 400; // characters of a message in its row
const maxBytesInLine = 12;
const maxText = 100000; // characters in the details
const maxBytes = 4096; // bytes in the details
const arrows = { out: '↑', in: '↓', open: '✓', close: '■', error: '!', measure: '≈', info: '·' };

// drawRow returns the <li> of an entry. toggle(entry) expands and collapses it.
export function drawRow(entry, toggle) {
  const { dir, type, size, rtt } = entry;
  const at = new Date(entry.at);
  const line = element('button', { type: 'button', class: 'line', 'aria-expanded': 'false' },
    element('time', { datetime: at.toISOString() }, clock(at, true)),
    element('span', { class: 'arrow', role: 'img', 'aria-label': { out: 'sent', in: 'received' }[dir] || type }, arrows[dir] || arrows[type]),
    element('span', { class: 'body' }, ...body(entry)));
  if (size !== undefined) {
    line.append(
      element('span', { class: 'rtt', title: 'round-trip time' }, rtt === undefined ? '' : formatMilliseconds(rtt)),
      element('span', { class: 'size' }, formatSize(size)));
  }
  line.addEventListener('click', () => toggle(entry));
  return element('li', {
    'data-seq': entry.seq, 'data-dir': dir, 'data-type': type, 'data-size': size,
    'data-rtt': rtt === undefined ? undefined : rtt.toFixed(3),
    'data-verified': entry.verified, 'data-code': entry.code, 'data-reason': entry.reason, 'data-clean': entry.clean,
  }, line);
}

function body(entry) {
  switch (entry.type) {
    case 'text':
      if (entry.payload === '') return [note('empty text message')];
      return [element('bdi', {}, preview(entry.payload, maxLine))];
    case 'binary': {
      const parts = [entry.payload.length === 0 ? note('empty binary message') : hexPreview(entry.payload, maxBytesInLine)];
      if (entry.verified === true) parts.push(' ', chip('good', '✓ identical'));
      if (entry.verified === false) parts.push(' ', chip('bad', `differs from byte ${entry.difference} on`));
      return parts;
    }
    case 'close': {
      const parts = [element('strong', {}, `Closed ${entry.code}`), ` ${codeName(entry.code)}`];
      if (entry.reason) parts.push(', reason “', element('bdi', {}, entry.reason), '”');
      parts.push(' ', entry.clean ? chip('good', 'clean') : chip('bad', 'not clean'));
      return parts;
    }
    default:
      return entry.parts.map((part) => (typeof part === 'string' ? part : element(part.strong ? 'strong' : 'bdi', {}, part.text)));
  }
}

const note = (text) => element('span', { class: 'more' }, text);
const chip = (kind, text) => element('span', { class: `chip ${kind}` }, text);

// drawDetails returns the details of an entry. actions has resend(entry) and
// edit(entry); extra are elements to show below.
export function drawDetails(entry, actions, ...extra) {
  const details = element('div', { class: 'details' });
  const bar = element('div', { class: 'detail-bar' });
  details.append(bar);
  if (entry.payload === undefined) {
    bar.append(copyButton(() => lineOf(entry)));
    details.append(element('p', { class: 'full' }, ...body(entry)));
    details.append(...extra);
    return details;
  }
  const text = entry.type === 'text';
  bar.append(
    copyButton(() => (text ? entry.payload : hexPreview(entry.payload, Infinity))),
    button('Save', { class: 'quiet', 'data-action': 'save' }, () => {
      const parsed = text && parseJSON(entry.payload);
      const kind = parsed ? ['json', 'application/json'] : text ? ['txt', 'text/plain'] : ['bin', 'application/octet-stream'];
      save(`message-${entry.seq + 1}.${kind[0]}`, kind[1], [entry.payload]);
    }),
    button('Send again', { class: 'quiet', 'data-action': 'resend' }, () => actions.resend(entry)));
  if (text) bar.append(button('Edit', { class: 'quiet', 'data-action': 'edit' }, () => actions.edit(entry)));
  details.append(...(text ? textContent(entry.payload, bar) : binaryContent(entry.payload)), ...extra);
  return details;
}

function textContent(text, bar) {
  const parsed = parseJSON(text);
  const raw = () => {
    const parts = [element('pre', { class: 'full', tabindex: '0', 'aria-label': 'Text of the message' }, element('bdi', {}, text.slice(0, maxText)))];
    if (text.length > maxText) parts.push(note(`${text.length - maxText} more characters: save the message to read them`));
    return parts;
  };
  if (!parsed) return raw();
  const tree = jsonTree(parsed.value);
  const content = element('div', { class: 'full' }, tree);
  let asText = false;
  const all = button('Expand all', { class: 'quiet', 'data-action': 'expand-all' }, () => {
    const open = all.textContent === 'Expand all';
    expandAll(tree, open);
    all.textContent = open ? 'Collapse all' : 'Expand all';
  });
  const toggle = button('Text', { class: 'quiet', 'data-action': 'view' }, () => {
    asText = !asText;
    content.replaceChildren(...(asText ? raw() : [tree]));
    toggle.textContent = asText ? 'Tree' : 'Text';
    all.hidden = asText;
  });
  bar.append(toggle, all);
  return [content];
}

function binaryContent(bytes) {
  const parts = [element('pre', { class: 'full', tabindex: '0', 'aria-label': 'Bytes of the message' }, hexDump(bytes, maxBytes))];
  if (bytes.length > maxBytes) parts.push(note(`${formatSize(bytes.length - maxBytes)} more: save the message to read them`));
  return parts;
}

function copyButton(text) {
  const b = button('Copy', { class: 'quiet', 'data-action': 'copy' }, async () => {
    b.textContent = await copy(text()) ? 'Copied' : 'The browser does not allow it';
    setTimeout(() => { b.textContent = 'Copy'; }, 1500);
  });
  return b;
}

// lineOf is an entry without a payload as text.
export function lineOf(entry) {
  return body(entry).map((part) => (typeof part === 'string' ? part : part.textContent)).join('');
}
