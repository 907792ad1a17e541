// Echoes finds the sent message that a received message equals.
//
// A server echoes in order, but may drop messages and send others. A received message is therefore looked up among
// the outstanding ones, in constant time. The messages sent before the match are forgotten: they get no echo any more.

import { firstDifference } from './format.js';

const maxOutstanding = 20000;
const maxBytes = 64 << 20;

export class Echoes {
  #outstanding = []; // {payload, at}; those before #head are answered
  #head = 0;
  #bytes = 0; // of the outstanding ones
  #positions = new Map(); // key of a payload to its positions, ascending

  // payload is a string, or a Uint8Array that does not change afterwards.
  sent(payload, at) {
    this.#add({ payload, at });
    // The newest one stays, even if it exceeds the limit by itself.
    while (this.#outstanding.length - this.#head > maxOutstanding || (this.#bytes > maxBytes && this.#outstanding.length - this.#head > 1)) {
      this.#forget(this.#head);
    }
  }

  // received returns {rtt} in milliseconds for an echo, {difference} (an index)
  // for a binary message that has the length of the oldest one outstanding but
  // not its bytes, and {} for any other message.
  received(payload, at) {
    if (this.#head === this.#outstanding.length) return {};
    const positions = this.#positions.get(key(payload));
    while (positions && positions.length > 0 && positions[0] < this.#head) positions.shift();
    const position = positions?.find((p) => same(this.#outstanding[p].payload, payload));
    if (position !== undefined) {
      const rtt = at - this.#outstanding[position].at;
      this.#forget(position);
      return { rtt };
    }
    const oldest = this.#outstanding[this.#head];
    if (typeof payload !== 'string' && typeof oldest.payload !== 'string' && oldest.payload.length === payload.length) {
      this.#forget(this.#head);
      return { difference: firstDifference(oldest.payload, payload) };
    }
    return {};
  }

  clear() {
    this.#outstanding = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#positions.clear();
  }

  #add(message) {
    const k = key(message.payload);
    const positions = this.#positions.get(k);
    if (positions) positions.push(this.#outstanding.length);
    else this.#positions.set(k, [this.#outstanding.length]);
    this.#outstanding.push(message);
    this.#bytes += message.payload.length;
  }

  // forget removes the messages up to a position.
  #forget(position) {
    while (this.#head <= position) this.#bytes -= this.#outstanding[this.#head++].payload.length;
    if (this.#head === this.#outstanding.length) this.clear();
    else if (this.#head > 1024 && this.#head * 2 > this.#outstanding.length) this.#compact();
  }

  #compact() {
    const rest = this.#outstanding.slice(this.#head);
    this.clear();
    for (const message of rest) this.#add(message);
  }
}

function key(payload) {
  return typeof payload === 'string' ? payload : payload.length * 256 + (payload[0] || 0);
}

function same(a, b) {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && firstDifference(a, b) < 0;
}
