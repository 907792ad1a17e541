// The bytes that compression has saved, as this server counts them: a page sees messages only, not their frames.

import { formatSize } from './format.js';

const interval = 500; // milliseconds between two questions

const $ = (id) => document.getElementById(id);

export class Saved {
  #from = null; // the server's counters when the connection opened
  #timer = 0;

  // Starts for a connection, if it is compressed and this server's own.
  async start(connection) {
    this.stop();
    const url = new URL(connection.url);
    if (!connection.extensions.includes('permessage-deflate') || url.host !== location.host || url.pathname !== '/echo') return;
    const from = await counters();
    if (!from || !connection.isOpen) return;
    this.#from = from;
    $('compression').hidden = false;
    $('compression-saved').textContent = 'no message yet';
  }

  // Shows the effect of the latest messages, soon.
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
    const now = await counters();
    if (!now || !from || from !== this.#from) return;
    const encoded = now.encoded - from.encoded;
    const decoded = now.decoded - from.decoded;
    if (decoded === 0) return; // short messages are not compressed
    $('compression-saved').textContent = `${formatSize(encoded)} for ${formatSize(decoded)}, ${Math.round(100 * (1 - encoded / decoded))} % saved`;
  }
}

async function counters() {
  try {
    const response = await fetch('/echo/compression');
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
