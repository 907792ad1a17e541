// The bytes that compression has saved. This server counts them: a page sees messages, not their frames.

import { formatSize } from './format.js';
import { compression, endpoint } from './server.js';

const interval = 500; // milliseconds between two requests

const $ = (id) => document.getElementById(id);

export class Saved {
  #from = null; // the server's counters when the connection opened
  #timer = 0;

  // start counts for a connection, if it is compressed and to this server.
  async start(connection) {
    this.stop();
    if (!connection.extensions.includes('permessage-deflate') || connection.url !== endpoint('echo')) return;
    const from = await compression();
    if (!from || !connection.isOpen) return;
    this.#from = from;
    $('compression').hidden = false;
    $('compression-saved').textContent = 'no message yet';
  }

  // changed shows the effect of further messages, after the interval.
  changed() {
    if (!this.#from || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#show();
    }, interval);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#from = null;
    $('compression').hidden = true;
  }

  async #show() {
    const from = this.#from;
    const now = await compression();
    if (!now || !from || from !== this.#from) return;
    const encoded = now.encoded - from.encoded;
    const decoded = now.decoded - from.decoded;
    if (decoded === 0) return; // short messages are not compressed
    $('compression-saved').textContent = `${formatSize(encoded)} for ${formatSize(decoded)}, ${percent(encoded, decoded)}`;
  }
}

function percent(encoded, decoded) {
  const saved = Math.round(100 * (1 - encoded / decoded));
  return saved < 0 ? `${-saved} % more` : `${saved} % saved`;
}
