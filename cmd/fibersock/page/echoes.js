// Pairs received messages with the ones sent, to tell an echo from any other message.
//
// Echoes come back in order, but a server may also send messages of its own or drop some, so a received message is
// looked up among the outstanding ones; what was sent before the match will not be echoed any more and is forgotten.

import { firstDifference } from './format.js';

const maxOutstanding = 1000;

export class Echoes {
  #outstanding = [];

  // payload: a string, or a Uint8Array that nobody changes afterwards.
  sent(payload, at) {
    this.#outstanding.push({ payload, at });
    if (this.#outstanding.length > maxOutstanding) this.#outstanding.shift();
  }

  // Returns {rtt} in milliseconds for an echo, {difference} (an index) for a binary message that has the
  // length of the oldest one outstanding but not its bytes, and {} for any other message.
  received(payload, at) {
    const i = this.#outstanding.findIndex((o) => same(o.payload, payload));
    if (i >= 0) {
      const rtt = at - this.#outstanding[i].at;
      this.#outstanding.splice(0, i + 1);
      return { rtt };
    }
    const oldest = this.#outstanding[0];
    if (oldest && typeof payload !== 'string' && typeof oldest.payload !== 'string' && oldest.payload.length === payload.length) {
      this.#outstanding.shift();
      return { difference: firstDifference(oldest.payload, payload) };
    }
    return {};
  }

  clear() {
    this.#outstanding = [];
  }
}

function same(a, b) {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && firstDifference(a, b) < 0;
}
