// A virtual list: it draws the rows of a log that are in sight, once per
// animation frame, so its cost does not depend on the number of entries.
//
// Every row has the height of the CSS variable --row. An expanded row is higher
// by the measured height of its details. The list follows the end until the
// user scrolls up, and then keeps the rows in sight where they are.

import { perFrame } from './frame.js';

const overscan = 6; // rows drawn above and below those in sight
const maxExpanded = 50;
const workTime = 10; // milliseconds of filtering in one frame
const endDistance = 8; // pixels from the end that count as the end

export class VirtualList {
  #log;
  #scroller; // the element that scrolls
  #list; // its child, the <ol>
  #draw; // draw(entry) returns the <li> of an entry
  #drawn; // is called after a draw
  #rows = new Map(); // sequence number to the <li> in the document
  #expanded = new Map(); // sequence number to {details, height}
  #follow = true;
  #anchor = { seq: 0, offset: 0 }; // the entry at the upper edge, and the pixels of it above the edge
  #height = 0; // of a row
  #scrollTop = 0; // scrollTop that the list has set or seen
  #resized;

  changed; // asks for a draw

  constructor({ log, scroller, list, draw, drawn }) {
    this.#log = log;
    this.#scroller = scroller;
    this.#list = list;
    this.#draw = draw;
    this.#drawn = drawn;
    this.changed = perFrame(() => this.#update());
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    scroller.addEventListener('wheel', (e) => { if (e.deltaY < 0) this.#follow = false; }, { passive: true });
    scroller.addEventListener('keydown', (e) => this.#key(e));
    this.#resized = new ResizeObserver((boxes) => {
      for (const { target } of boxes) {
        if (target === scroller) this.#height = 0;
        else this.#measured(target);
      }
      this.changed();
    });
    this.#resized.observe(scroller);
  }

  get following() { return this.#follow; }

  isExpanded(seq) { return this.#expanded.has(seq); }

  // expand shows details, an element, below the row of an entry.
  expand(seq, details) {
    this.collapse(seq);
    for (const oldest of this.#expanded.keys()) {
      if (this.#expanded.size < maxExpanded) break;
      this.collapse(oldest);
    }
    details.dataset.seq = seq;
    this.#expanded.set(seq, { details, height: 0 });
    this.#resized.observe(details);
    const row = this.#rows.get(seq);
    if (row) this.#attach(row, seq);
    // The details of the last row would otherwise push it out of sight.
    this.#follow = false;
    this.#hold(this.#scroller.scrollTop);
    this.changed();
  }

  collapse(seq) {
    const expanded = this.#expanded.get(seq);
    if (!expanded) return;
    this.#expanded.delete(seq);
    this.#resized.unobserve(expanded.details);
    expanded.details.remove();
    this.#rows.get(seq)?.firstElementChild.setAttribute('aria-expanded', 'false');
    this.changed();
  }

  // clear forgets all rows, after log.clear.
  clear() {
    for (const seq of [...this.#expanded.keys()]) this.collapse(seq);
    this.followEnd();
  }

  followEnd() {
    this.#follow = true;
    this.changed();
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    if (Math.abs(scrollTop - this.#scrollTop) < 1) return; // the list's own doing
    this.#scrollTop = scrollTop;
    this.#follow = scrollHeight - clientHeight - scrollTop <= endDistance;
    this.#hold(scrollTop);
    this.changed();
  }

  // hold makes the entry at scrollTop the anchor.
  #hold(scrollTop) {
    const index = this.#indexAt(scrollTop);
    if (index < this.#log.size) {
      this.#anchor = { seq: this.#log.at(index).seq, offset: scrollTop - this.#top(index) };
    }
  }

  #scrollTo(top) {
    if (Math.abs(this.#scroller.scrollTop - top) >= 1) this.#scroller.scrollTop = top;
    this.#scrollTop = this.#scroller.scrollTop;
  }

  #measured(details) {
    const expanded = this.#expanded.get(Number(details.dataset.seq));
    if (expanded && details.isConnected) expanded.height = details.offsetHeight;
  }

  // The expanded entries that the log still has and the filter selects, in
  // order, as [index, height].
  #extras() {
    const extras = [];
    for (const [seq, { height }] of this.#expanded) {
      const index = this.#log.indexOf(seq);
      if (index < this.#log.size && this.#log.at(index).seq === seq) extras.push([index, height]);
    }
    return extras.sort((a, b) => a[0] - b[0]);
  }

  #top(index) {
    let top = index * this.#height;
    for (const [at, height] of this.#extras()) if (at < index) top += height;
    return top;
  }

  #indexAt(y) {
    let above = 0; // height of the details above
    for (const [index, height] of this.#extras()) {
      const top = index * this.#height + above;
      if (y < top + this.#height) break;
      if (y < top + this.#height + height) return index;
      above += height;
    }
    return Math.max(0, Math.floor((y - above) / this.#height));
  }

  #update() {
    const done = this.#log.work(performance.now() + workTime);
    const size = this.#log.size;
    if (this.#height === 0) {
      this.#height = parseFloat(getComputedStyle(this.#list).getPropertyValue('--row')) || 32;
    }
    const view = this.#scroller.clientHeight;
    if (view > 0) { // otherwise the view is hidden
      const total = this.#top(size);
      this.#list.style.height = `${total}px`;
      let top = Math.max(0, total - view);
      if (!this.#follow) {
        const index = this.#log.indexOf(this.#anchor.seq);
        const offset = index < size && this.#log.at(index).seq === this.#anchor.seq ? this.#anchor.offset : 0;
        top = Math.min(top, this.#top(index) + offset);
      }
      this.#scrollTo(top);
      const first = Math.max(0, this.#indexAt(top) - overscan);
      const last = Math.min(size, this.#indexAt(top + view) + 1 + overscan);
      this.#place(first, last);
    }
    this.#drawn();
    if (!done) this.changed();
  }

  // place draws the rows [first, last) and removes the others.
  #place(first, last) {
    const wanted = new Set();
    for (let i = first; i < last; i++) wanted.add(this.#log.at(i).seq);
    for (const [seq, row] of this.#rows) {
      if (wanted.has(seq)) continue;
      if (row.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
      row.remove();
      this.#rows.delete(seq);
    }
    let next = this.#list.firstElementChild;
    let top = this.#top(first);
    for (let i = first; i < last; i++) {
      const entry = this.#log.at(i);
      let row = this.#rows.get(entry.seq);
      if (!row) {
        row = this.#draw(entry);
        this.#rows.set(entry.seq, row);
        this.#attach(row, entry.seq);
      }
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
      const position = `${top}px`;
      if (row.style.top !== position) row.style.top = position;
      const expanded = this.#expanded.get(entry.seq);
      if (expanded && expanded.height === 0) this.#measured(expanded.details);
      top += this.#height + (expanded ? expanded.height : 0);
    }
  }

  #attach(row, seq) {
    const expanded = this.#expanded.get(seq);
    if (!expanded) return;
    row.append(expanded.details);
    row.firstElementChild.setAttribute('aria-expanded', 'true');
  }

  // Keys move the focus from row to row. In the details they keep their
  // meaning.
  #key(e) {
    const size = this.#log.size;
    const details = e.target.closest?.('.details');
    if (size === 0 || details || e.altKey || e.ctrlKey || e.metaKey) return;
    const row = e.target.closest?.('li');
    const seq = row ? Number(row.dataset.seq) : -1;
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height) - 1);
    const last = size - 1;
    const from = seq < 0 ? (this.#follow ? size : this.#indexAt(this.#scroller.scrollTop) - 1) : this.#log.indexOf(seq);
    const to = { ArrowUp: from - 1, ArrowDown: from + 1, PageUp: from - page, PageDown: from + page, Home: 0, End: last }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    this.#focus(Math.min(last, Math.max(0, to)));
  }

  #focus(index) {
    const { scrollTop, clientHeight } = this.#scroller;
    const top = this.#top(index);
    this.#follow = index === this.#log.size - 1 && this.#expanded.size === 0;
    let target = scrollTop;
    if (top < scrollTop) target = top;
    else if (top + this.#height > scrollTop + clientHeight) target = top + this.#height - clientHeight;
    this.#scrollTo(target);
    this.#hold(target);
    const { seq } = this.#log.at(index);
    this.#update();
    this.#rows.get(seq)?.firstElementChild.focus({ preventScroll: true });
  }
}
