// JSON as a tree that opens level by level. All text is in text nodes.

import { element } from './format.js';

const maxParsed = 4 << 20; // characters
const maxChildren = 200; // shown at once
const maxString = 2000; // characters of a string shown at once

// parseJSON returns {value} for an object or array in JSON, null for anything
// else. Numbers that a double cannot represent stay as they are written.
export function parseJSON(text) {
  if (text.length > maxParsed || !/^\s*[{[]/.test(text)) return null;
  try {
    return { value: JSON.parse(text, exact) };
  } catch {
    return null;
  }
}

// A number in JSON as it was written.
class Literal {
  constructor(text) { this.text = text; }
}

function exact(_, value, context) {
  if (typeof value !== 'number' || !context?.source || String(value) === context.source) return value;
  return new Literal(context.source);
}

// jsonTree returns the element that shows a parsed value.
export function jsonTree(value) {
  const tree = element('div', { class: 'json' });
  tree.append(node(undefined, value, true));
  return tree;
}

function node(name, value, open) {
  const label = [];
  if (name !== undefined) label.push(element('span', { class: typeof name === 'number' ? 'json-index' : 'json-name' }, String(name)), ': ');
  if (value === null || typeof value !== 'object' || value instanceof Literal) {
    return element('div', { class: 'json-leaf' }, ...label, leaf(value));
  }
  const array = Array.isArray(value);
  const keys = array ? null : Object.keys(value);
  const count = array ? value.length : keys.length;
  const brackets = array ? '[]' : '{}';
  if (count === 0) return element('div', { class: 'json-leaf' }, ...label, brackets);
  const summary = element('summary', {}, ...label, element('span', { class: 'json-count' }, `${brackets[0]} ${count} ${count === 1 ? 'item' : 'items'} ${brackets[1]}`));
  const children = element('div', { class: 'json-children' });
  const details = element('details', {}, summary, children);
  let shown = 0;
  const more = () => {
    const end = Math.min(count, shown + maxChildren);
    const nodes = [];
    for (; shown < end; shown++) {
      const key = array ? shown : keys[shown];
      nodes.push(node(key, value[key], false));
    }
    children.append(...nodes);
    if (shown < count) {
      const button = element('button', { type: 'button', class: 'quiet' }, `Show ${Math.min(maxChildren, count - shown)} of ${count - shown} more`);
      button.addEventListener('click', () => {
        button.remove();
        more();
      });
      children.append(button);
    }
  };
  details.addEventListener('toggle', () => {
    if (details.open && shown === 0) more();
  });
  if (open) {
    more();
    details.open = true;
  }
  return details;
}

function leaf(value) {
  if (value instanceof Literal) return element('span', { class: 'json-number' }, value.text);
  if (typeof value !== 'string') return element('span', { class: `json-${value === null ? 'null' : typeof value}` }, String(value));
  const quoted = JSON.stringify(value.slice(0, maxString));
  const span = element('span', { class: 'json-string' }, element('bdi', {}, quoted));
  if (value.length <= maxString) return span;
  const button = element('button', { type: 'button', class: 'quiet' }, `${value.length - maxString} more characters`);
  button.addEventListener('click', () => span.replaceChildren(element('bdi', {}, JSON.stringify(value))));
  span.append(button);
  return span;
}

// expandAll opens or closes the nodes of a tree, the deeper ones only if the
// tree has few.
export function expandAll(tree, open) {
  const maxNodes = 2000;
  let nodes = [...tree.querySelectorAll(':scope details')];
  let n = 0;
  while (nodes.length > 0 && n < maxNodes) {
    const next = [];
    for (const details of nodes) {
      if (n++ >= maxNodes) break;
      if (details.open === open) continue;
      if (open) {
        details.open = true;
        details.dispatchEvent(new Event('toggle'));
        next.push(...details.querySelectorAll(':scope > .json-children > details'));
      } else {
        details.open = false;
      }
    }
    nodes = next;
  }
}
