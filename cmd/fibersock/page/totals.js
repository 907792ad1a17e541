// The counters over the log, and the line of the latest round-trip times.

import { formatMilliseconds, formatSize, quantile } from './format.js';

const maxSamples = 200; // round trips the median is taken from
const sparkPoints = 60;
const sparkWidth = 120;
const sparkHeight = 36;

const $ = (id) => document.getElementById(id);

export class Totals {
  #sent = { count: 0, bytes: 0 };
  #received = { count: 0, bytes: 0 };
  #rtts = [];
  #scheduled = false;

  reset() {
    this.#sent = { count: 0, bytes: 0 };
    this.#received = { count: 0, bytes: 0 };
    this.#rtts = [];
    this.#schedule();
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
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

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
    this.#drawSpark();
  }

  #drawSpark() {
    const [fill, line] = $('spark').children;
    const points = this.#rtts.slice(-sparkPoints);
    if (points.length < 2) {
      fill.setAttribute('d', '');
      line.setAttribute('d', '');
      return;
    }
    const top = Math.max(...points);
    const step = sparkWidth / (points.length - 1);
    const path = points.map((v, i) => `${i === 0 ? 'M' : 'L'}${(i * step).toFixed(1)} ${(sparkHeight - 1 - (v / top) * (sparkHeight - 4)).toFixed(1)}`).join('');
    line.setAttribute('d', path);
    fill.setAttribute('d', `${path}L${sparkWidth} ${sparkHeight}L0 ${sparkHeight}Z`);
  }
}
