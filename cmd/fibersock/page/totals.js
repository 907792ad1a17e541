// The counters over the log, and the graphs of the latest round-trip times.

import { perFrame } from './frame.js';
import { element, formatMilliseconds, formatSize, quantile } from './format.js';

const maxSamples = 500; // round trips in the graph, and in the median
const spark = { points: 60, width: 120, height: 36 };
const graph = { width: 320, height: 120 };

const $ = (id) => document.getElementById(id);

export class Totals {
  constructor() {
    $('rtt-graph').addEventListener('toggle', () => this.#schedule());
  }

  #sent = { count: 0, bytes: 0 };
  #received = { count: 0, bytes: 0 };
  #rtts = [];

  reset() {
    this.#sent = { count: 0, bytes: 0 };
    this.#received = { count: 0, bytes: 0 };
    this.#rtts = [];
    this.#draw();
  }

  sent(bytes) {
    this.#sent.count++;
    this.#sent.bytes += bytes;
    this.#schedule();
  }

  received(bytes, rtt) {
    this.#received.count++;
    this.#received.bytes += bytes;
    if (rtt !== undefined) {
      this.#rtts.push(rtt);
      if (this.#rtts.length > maxSamples) this.#rtts.shift();
    }
    this.#schedule();
  }

  // A server may send thousands of messages in a second: drawing happens once per frame.
  #schedule = perFrame(() => this.#draw());

  #draw() {
    $('sent-count').textContent = this.#sent.count.toLocaleString('en');
    $('sent-bytes').textContent = formatSize(this.#sent.bytes);
    $('received-count').textContent = this.#received.count.toLocaleString('en');
    $('received-bytes').textContent = formatSize(this.#received.bytes);
    if (this.#rtts.length === 0) {
      $('rtt-median').textContent = '–';
      $('rtt-range').textContent = 'no echo yet';
    } else {
      const sorted = this.#rtts.slice().sort((a, b) => a - b);
      $('rtt-median').textContent = formatMilliseconds(quantile(sorted, 0.5));
      $('rtt-range').textContent = sorted.length === 1 ? 'one echo' : `${formatMilliseconds(sorted[0])} to ${formatMilliseconds(sorted[sorted.length - 1])}`;
    }
    drawLine($('spark'), this.#rtts.slice(-spark.points), spark);
    if ($('rtt-graph').open) this.#drawGraph();
  }

  #drawGraph() {
    const rtts = this.#rtts;
    drawLine($('rtt-plot'), rtts, graph);
    const sorted = rtts.slice().sort((a, b) => a - b);
    const at = (q) => (sorted.length === 0 ? '–' : formatMilliseconds(quantile(sorted, q)));
    $('rtt-top').textContent = at(1);
    $('rtt-count').textContent = `the latest ${rtts.length}`;
    $('rtt-plot').setAttribute('aria-label', `Graph of ${rtts.length} round-trip times, from 0 to ${at(1)}`);
    const facts = [['Fastest', 0], ['Median', 0.5], ['95 %', 0.95], ['99 %', 0.99], ['Slowest', 1]];
    $('rtt-facts').replaceChildren(...facts.map(([name, q]) => element('div', {}, element('dt', {}, name), element('dd', {}, at(q)))));
  }
}

// drawLine draws values from 0 to the largest one into the two paths of an SVG.
function drawLine(svg, values, { width, height }) {
  const [fill, line] = svg.querySelectorAll('path');
  let path = '';
  if (values.length > 1) {
    const top = values.reduce((a, b) => Math.max(a, b), Number.MIN_VALUE);
    const step = width / (values.length - 1);
    path = values.map((v, i) => `${i === 0 ? 'M' : 'L'}${(i * step).toFixed(1)} ${(height - 1 - (v / top) * (height - 4)).toFixed(1)}`).join('');
  }
  line.setAttribute('d', path);
  fill.setAttribute('d', path && `${path}L${width} ${height}L0 ${height}Z`);
}
