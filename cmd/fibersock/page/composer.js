// The message field: it recalls earlier messages with the arrow keys, keeps
// messages under a name, and takes files that are dropped on it.

import { element } from './format.js';

const maxHistory = 100;
const maxStored = 100; // messages kept under a name
const maxText = 65536; // characters of a message that is stored

const $ = (id) => document.getElementById(id);

export class Composer {
  #history = load('fibersock.history', (m) => typeof m === 'string');
  #saved = load('fibersock.saved', (m) => typeof m?.name === 'string' && typeof m?.text === 'string');
  #at = null; // position in the history while one is recalled
  #draft = ''; // the text before the first recall
  #field = $('message');

  // submit() sends the text; file(file) is called with each dropped file.
  constructor({ submit, file }) {
    this.#field.addEventListener('keydown', (e) => {
      if (e.isComposing) return;
      if (e.key === 'Enter' && !e.shiftKey) {
        e.preventDefault();
        submit();
      } else if (e.key === 'ArrowUp' && this.#onFirstLine()) {
        this.#recall(e, -1);
      } else if (e.key === 'ArrowDown' && this.#at !== null && this.#onLastLine()) {
        this.#recall(e, 1);
      }
    });
    this.#field.addEventListener('input', () => { this.#at = null; });
    $('saved').addEventListener('change', () => this.#pick());
    $('save-message').addEventListener('click', () => this.#keep());
    $('forget-message').addEventListener('click', () => this.#forget());
    this.#drawSaved();
    this.#takeDrops(file);
  }

  get text() { return this.#field.value; }

  set text(text) {
    this.#field.value = text;
    this.#at = null;
    this.#field.focus();
  }

  // focus places the caret without opening the keyboard of a phone.
  focus() {
    if (!matchMedia('(pointer: coarse)').matches) this.#field.focus();
  }

  // sent puts a text into the history.
  sent(text) {
    this.#at = null;
    if (text === '' || text.length > maxText || this.#history.at(-1) === text) return;
    this.#history.push(text);
    this.#history.splice(0, this.#history.length - maxHistory);
    store('fibersock.history', this.#history);
  }

  #onFirstLine() {
    return this.#field.selectionStart === this.#field.selectionEnd && !this.#field.value.slice(0, this.#field.selectionStart).includes('\n');
  }

  #onLastLine() {
    return !this.#field.value.slice(this.#field.selectionEnd).includes('\n');
  }

  #recall(e, step) {
    const from = this.#at === null ? this.#history.length : this.#at;
    const to = from + step;
    if (to < 0 || to > this.#history.length) return;
    e.preventDefault();
    if (this.#at === null) this.#draft = this.#field.value;
    this.#at = to === this.#history.length ? null : to;
    const text = this.#at === null ? this.#draft : this.#history[to];
    this.#field.value = text;
    this.#field.setSelectionRange(text.length, text.length);
  }

  // Messages under a name

  #pick() {
    const message = this.#saved[Number($('saved').value)];
    if (message) this.text = message.text;
    $('forget-message').disabled = !message;
  }

  #keep() {
    const text = this.#field.value;
    if (text === '' || text.length > maxText) return;
    const name = $('save-name').value.trim() || text.slice(0, 40);
    this.#saved = this.#saved.filter((m) => m.name !== name);
    this.#saved.push({ name, text });
    this.#saved.splice(0, this.#saved.length - maxStored);
    $('save-name').value = '';
    this.#storeSaved(this.#saved.length - 1);
  }

  #forget() {
    this.#saved.splice(Number($('saved').value), 1);
    this.#storeSaved(-1);
  }

  #storeSaved(selected) {
    store('fibersock.saved', this.#saved);
    this.#drawSaved();
    $('saved').value = selected < 0 ? '' : String(selected);
    $('forget-message').disabled = selected < 0;
  }

  #drawSaved() {
    $('saved').replaceChildren(
      element('option', { value: '' }, this.#saved.length === 0 ? 'none yet' : 'choose one'),
      ...this.#saved.map(({ name }, i) => element('option', { value: i }, name)));
    $('forget-message').disabled = true;
  }

  // Files

  #takeDrops(file) {
    const target = $('drop');
    let depth = 0; // dragenter minus dragleave, of the children too
    const hasFiles = (e) => [...(e.dataTransfer?.types || [])].includes('Files');
    const mark = (by) => {
      depth = by === 0 ? 0 : depth + by;
      target.classList.toggle('dropping', depth > 0);
    };
    target.addEventListener('dragenter', (e) => { if (hasFiles(e)) mark(1); });
    target.addEventListener('dragleave', (e) => { if (hasFiles(e)) mark(-1); });
    target.addEventListener('dragover', (e) => { if (hasFiles(e)) e.preventDefault(); });
    target.addEventListener('drop', (e) => {
      if (!hasFiles(e)) return;
      e.preventDefault();
      mark(0);
      for (const f of e.dataTransfer.files) file(f);
    });
    // Outside of the target the browser would leave the page for the file.
    for (const type of ['dragover', 'drop']) window.addEventListener(type, (e) => { if (hasFiles(e)) e.preventDefault(); });
  }
}

// The storage of the browser may be full, switched off or of another version.

function load(name, valid) {
  try {
    const list = JSON.parse(localStorage.getItem(name));
    return Array.isArray(list) ? list.filter(valid) : [];
  } catch {
    return [];
  }
}

function store(name, list) {
  try {
    localStorage.setItem(name, JSON.stringify(list));
  } catch {
    // The messages last as long as the page.
  }
}
