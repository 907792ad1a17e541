// The entries of the message log: the newest ones, bounded by number and by
// bytes, and the subset that a filter selects.
//
// Adding an entry takes constant time. A filter is applied by work, a part at a
// time, so a large log blocks nothing.

export class Log {
  #entries = new Queue();
  #matches = null; // a Queue of the entries that #test selects, null without a filter
  #test = null;
  #tested = 0; // the next sequence number that #test has not seen
  #next = 0; // sequence number of the next entry
  #bytes = 0;
  #maxEntries;
  #maxBytes;

  constructor(maxEntries, maxBytes) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  // add sets entry.seq. entry.size, if there is one, counts as bytes.
  add(entry) {
    entry.seq = this.#next++;
    this.#entries.push(entry);
    this.#bytes += entry.size || 0;
    // The newest entry stays, even if it exceeds the limit by itself.
    while (this.#entries.size > this.#maxEntries || (this.#bytes > this.#maxBytes && this.#entries.size > 1)) {
      this.#bytes -= this.#entries.shift().size || 0;
    }
  }

  clear() {
    this.#entries = new Queue();
    this.#bytes = 0;
    this.setFilter(this.#test);
  }

  // setFilter selects the entries for which test returns true, all of them if
  // test is null. work applies it.
  setFilter(test) {
    this.#test = test;
    this.#matches = test ? new Queue() : null;
    this.#tested = this.#first();
  }

  // work tests entries until all are tested, then returns true, or until the
  // clock reads end (milliseconds of performance.now).
  work(end) {
    if (!this.#test) return true;
    const first = this.#first();
    while (this.#matches.size > 0 && this.#matches.at(0).seq < first) this.#matches.shift();
    this.#tested = Math.max(this.#tested, first);
    for (let n = 0; this.#tested < this.#next; n++) {
      // The clock costs more than a test of a short message.
      if (n % 64 === 63 && performance.now() >= end) return false;
      const entry = this.#entries.at(this.#tested++ - first);
      if (this.#test(entry)) this.#matches.push(entry);
    }
    return true;
  }

  // The entries that the filter selects: their number, one by its index, and
  // the index of a sequence number, or of the next one that is selected.
  get size() { return this.#view().size; }
  at(index) { return this.#view().at(index); }
  indexOf(seq) {
    const view = this.#view();
    let low = 0;
    let high = view.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (view.at(middle).seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get kept() { return this.#entries.size; }
  get added() { return this.#next; }

  // all returns the kept entries, the oldest first.
  all() {
    return Array.from({ length: this.#entries.size }, (_, i) => this.#entries.at(i));
  }

  #view() { return this.#matches || this.#entries; }
  #first() { return this.#entries.size === 0 ? this.#next : this.#entries.at(0).seq; }
}

// A Queue is an array whose front is removed in constant time.
class Queue {
  #items = [];
  #head = 0;

  get size() { return this.#items.length - this.#head; }
  at(index) { return this.#items[this.#head + index]; }
  push(item) { this.#items.push(item); }

  shift() {
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}
