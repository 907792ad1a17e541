// The echo view: one connection, a form to send, a log of everything that happened.

import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { clearDiagnosis, showDiagnosis } from './diagnosis.js';
import { Echoes } from './echoes.js';
import { save } from './files.js';
import { framesView, newFramesName } from './frames.js';
import { VirtualList } from './list.js';
import { Log } from './log.js';
import { drawDetails, drawRow, lineOf } from './rows.js';
import { Saved } from './saved.js';
import { endpoint } from './server.js';
import { applyLink, startShare } from './share.js';
import { Totals } from './totals.js';
import { base64, byteLength, codeName, formatMilliseconds, formatSize, hexPreview, preview, quantile, showError } from './format.js';

const maxEntries = 50000;
const maxBytes = 64 << 20; // of the messages in the log
const measureCount = 100;
const measureTimeout = 5000; // milliseconds for one echo
const sliceTime = 8; // milliseconds of a long task before other work
const burstBuffered = 4 << 20; // bytes that the browser has not sent
const announceInterval = 1000; // milliseconds

const $ = (id) => document.getElementById(id);

export function startConsole() {
  const log = new Log(maxEntries, maxBytes);
  const echoes = new Echoes();
  const totals = new Totals();
  const saved = new Saved();
  const composer = new Composer({ submit: sendComposed, file: stage });
  let measuring = null; // {rtts, timer} while the 100 echoes are timed
  let burst = null; // {text, left} while one text is sent many times
  let framesName = ''; // of the connection, if this server records its frames
  let counts = { out: 0, in: 0 }; // messages of the connection
  let staged = null; // the dropped file
  let base = 0; // entries added before the log was cleared
  let filtering = false;

  const list = new VirtualList({ log, scroller: $('log-scroll'), list: $('log'), draw: (e) => drawRow(e, toggle), drawn: drawKept });
  const connection = new Connection({ url: named, state: showState, open: onOpen, message: onMessage, closed: onClosed });

  $('url').value = endpoint('echo');
  applyLink();
  startShare();

  // The log

  function add(entry) {
    entry.at = Date.now();
    log.add(entry);
    list.changed();
  }

  function event(type, parts, more) {
    add({ dir: 'event', type, parts, ...more });
  }

  function toggle(entry) {
    if (list.isExpanded(entry.seq)) list.collapse(entry.seq);
    else list.expand(entry.seq, drawDetails(entry, { resend, edit }, ...(entry.payload === undefined ? [] : [framesView(entry)])));
  }

  function resend({ payload }) {
    if (typeof payload === 'string') sendText(payload);
    else sendBinary(payload);
  }

  function edit({ payload }) {
    composer.text = payload;
  }

  function drawKept() {
    const { added, kept, size } = log;
    const dropped = added - base - kept;
    const number = (n) => n.toLocaleString('en');
    $('kept').dataset.kept = kept;
    $('kept').dataset.dropped = dropped;
    let text = kept === 0 ? '' : dropped > 0 ? `newest ${number(kept)} kept, ${number(dropped)} dropped` : `${number(kept)} kept`;
    if (filtering) text += `${text && ', '}${number(size)} shown`;
    $('kept').textContent = text;
    $('log-empty').hidden = kept > 0;
    $('jump').hidden = list.following || size === 0;
  }

  function filter() {
    const direction = $('filter-direction').value;
    const text = $('filter').value;
    const expression = /^\/(.+)\/([imsu]*)$/.exec(text);
    let matches = (s) => s.toLowerCase().includes(wanted);
    const wanted = text.toLowerCase();
    showError($('filter-error'), '', $('filter'));
    if (expression) {
      try {
        const compiled = new RegExp(expression[1], expression[2]);
        matches = (s) => compiled.test(s);
      } catch (e) {
        showError($('filter-error'), e.message, $('filter'));
        return;
      }
    }
    filtering = text !== '' || direction !== 'all';
    log.setFilter(filtering ? (entry) => (direction === 'all' || entry.dir === direction) && (text === '' || matches(searchable(entry))) : null);
    list.followEnd();
  }

  function clear() {
    log.clear();
    base = log.added;
    list.clear();
  }

  // saveLog writes a line of JSON for each entry, in slices.
  async function saveLog() {
    $('save-log').disabled = true;
    const lines = [];
    let end = performance.now() + sliceTime;
    for (const entry of log.all()) {
      const { at, dir, type, size, rtt, code, reason, clean, payload } = entry;
      const line = { time: new Date(at).toISOString(), direction: dir, type, size, rtt, code, reason, clean };
      if (typeof payload === 'string') line.text = payload;
      else if (payload) line.base64 = base64(payload);
      else if (type !== 'close') line.text = lineOf(entry);
      lines.push(`${JSON.stringify(line)}\n`);
      if (performance.now() >= end) {
        await new Promise((resolve) => { setTimeout(resolve, 0); });
        end = performance.now() + sliceTime;
      }
    }
    save('fibersock-log.jsonl', 'application/jsonl', lines);
    $('save-log').disabled = false;
  }

  // A screen reader announces entries once per interval.
  let unannounced = 0;
  let announcing = 0;
  let latest = '';

  function announce(text) {
    unannounced++;
    latest = text;
    if (announcing) return;
    announcing = setTimeout(() => {
      announcing = 0;
      $('announce').textContent = unannounced === 1 ? latest : `${unannounced} new entries. The last: ${latest}`;
      unannounced = 0;
    }, announceInterval);
  }

  // The connection

  function showState(state, delay) {
    $('state').dataset.state = state;
    $('state').textContent = state === 'waiting' ? `reconnecting in ${(delay / 1000).toFixed(1)} s` : state;
    const open = state === 'open';
    const idle = state === 'closed' || state === 'failed';
    $('connect').disabled = !idle;
    $('disconnect').disabled = !(state === 'connecting' || open || state === 'waiting');
    for (const id of ['send-text', 'measure', 'send-binary', 'close', 'staged-binary', 'staged-text']) $(id).disabled = !open;
    $('facts').hidden = !(open || state === 'closing');
    $('view-console').dataset.state = state;
    if (state === 'connecting') {
      counts = { out: 0, in: 0 };
      echoes.clear();
      totals.reset();
    }
  }

  function connect() {
    const url = $('url').value.trim();
    const subprotocols = $('subprotocols').value.split(/[\s,]+/).filter(Boolean);
    showError($('connect-error'), '', $('url'));
    clearDiagnosis();
    try {
      connection.connect(url, subprotocols);
    } catch (e) {
      showError($('connect-error'), e.name === 'SyntaxError' ? `The browser rejects this URL or subprotocol: ${e.message}` : e.message, $('url'));
    }
  }

  // named adds a name to the URL of this server's echo, which then keeps the
  // headers of the frames.
  function named(url) {
    framesName = url === endpoint('echo') ? newFramesName() : '';
    return framesName ? `${url}?frames=${framesName}` : url;
  }

  function onOpen(took) {
    clearDiagnosis();
    $('agreed-subprotocol').textContent = connection.subprotocol || 'none';
    $('agreed-extensions').textContent = connection.extensions || 'none';
    $('opened-in').textContent = formatMilliseconds(took);
    saved.start(connection);
    event('open', ['Connected to ', { text: connection.url }]);
    composer.focus();
  }

  // message returns the entry of a message, with the data for its frames.
  function message(dir, payload, size) {
    return { dir, type: typeof payload === 'string' ? 'text' : 'binary', payload, size, framesName, number: counts[dir], compressed: connection.extensions !== '' };
  }

  function onMessage(data) {
    const at = performance.now();
    counts.in++;
    const text = typeof data === 'string';
    const payload = text ? data : new Uint8Array(data);
    const size = text ? byteLength(payload) : payload.length;
    const { rtt, difference } = echoes.received(payload, at);
    totals.received(size, rtt);
    saved.changed();
    if (measuring && rtt !== undefined) {
      measured(rtt);
      return;
    }
    const entry = message('in', payload, size);
    entry.rtt = rtt;
    if (!text && rtt !== undefined) entry.verified = true;
    if (difference !== undefined) Object.assign(entry, { verified: false, difference });
    add(entry);
    announce(`Received ${text ? preview(payload, 100) : `${size} bytes`}`);
  }

  function onClosed({ code, reason, wasClean }, wasOpen) {
    stopMeasuring();
    burst = null;
    saved.stop();
    if (!wasOpen) {
      event('error', ['Could not connect to ', { text: connection.url }]);
      if ($('diagnosis').hidden) explain(); // once, not at each attempt to reconnect
    }
    add({ dir: 'event', type: 'close', code, reason, clean: wasClean });
    announce(`Closed ${code} ${codeName(code)}`);
  }

  async function explain() {
    const text = await showDiagnosis(connection.url, connection.subprotocols);
    if (text) event('error', [{ text }]);
  }

  function close(code, reason) {
    showError($('close-error'), '', $('close-code'));
    try {
      connection.close(code, reason);
    } catch (e) {
      showError($('close-error'), e.name === 'InvalidAccessError' ? 'A page may close with 1000 or with 3000 to 4999.' : 'The reason must fit into 123 bytes of UTF-8.', $('close-code'));
    }
  }

  // Sending

  function transmit(payload, size) {
    counts.out++;
    echoes.sent(payload, performance.now());
    connection.send(payload);
    totals.sent(size);
  }

  function sendText(text) {
    if (!mayOrSaysWhy()) return;
    const size = byteLength(text);
    transmit(text, size);
    add(message('out', text, size));
  }

  function sendBinary(bytes) {
    if (!mayOrSaysWhy()) return;
    transmit(bytes, bytes.length);
    add(message('out', bytes, bytes.length));
  }

  function mayOrSaysWhy() {
    showError($('send-error'), connection.isOpen ? '' : 'There is no open connection: connect first.');
    return connection.isOpen;
  }

  function sendComposed() {
    const { text } = composer;
    if (!mayOrSaysWhy()) return;
    composer.sent(text);
    const times = Number($('times').value);
    if (times === 1) {
      sendText(text);
    } else if (!burst) {
      burst = { text, left: times };
      sendBurst();
    }
    $('message').select();
  }

  // sendBurst sends one text many times, in slices, so that the page stays
  // usable and the browser buffers little.
  function sendBurst() {
    if (!burst || !connection.isOpen) {
      burst = null;
      return;
    }
    const end = performance.now() + sliceTime;
    while (burst.left > 0 && connection.buffered < burstBuffered && performance.now() < end) {
      burst.left--;
      sendText(burst.text);
    }
    if (burst.left === 0) burst = null;
    else setTimeout(sendBurst, 0);
  }

  async function sendChosenBinary() {
    const choice = $('binary-size').value;
    if (choice !== 'file') {
      sendBinary(randomBytes(Number(choice)));
      return;
    }
    const file = $('file').files[0];
    if (!file) $('file').click();
    else sendBinary(new Uint8Array(await file.arrayBuffer()));
  }

  // stage offers a dropped file for sending.
  function stage(file) {
    staged = file;
    $('staged').hidden = false;
    $('staged-name').textContent = `${file.name}, ${formatSize(file.size)}`;
  }

  function unstage() {
    staged = null;
    $('staged').hidden = true;
    $('message').focus();
  }

  // Timing 100 echoes: each message is sent after the echo of the one before, so no message waits for another.

  function startMeasuring() {
    if (measuring) return;
    measuring = { rtts: [], timer: 0 };
    $('measure').disabled = true;
    nextMeasurement();
  }

  function nextMeasurement() {
    const text = `echo ${measuring.rtts.length + 1} of ${measureCount}`;
    measuring.timer = setTimeout(() => {
      stopMeasuring();
      event('error', [`No echo within ${measureTimeout / 1000} s: is this an echo server?`]);
    }, measureTimeout);
    transmit(text, byteLength(text));
  }

  function measured(rtt) {
    clearTimeout(measuring.timer);
    measuring.rtts.push(rtt);
    if (measuring.rtts.length < measureCount) {
      nextMeasurement();
      return;
    }
    const sorted = measuring.rtts.slice().sort((a, b) => a - b);
    const median = quantile(sorted, 0.5);
    stopMeasuring();
    event('measure', [
      { strong: true, text: `${measureCount} echoes` }, ': fastest ', formatMilliseconds(sorted[0]),
      ', median ', { strong: true, text: formatMilliseconds(median) },
      ', slowest ', formatMilliseconds(sorted[sorted.length - 1])], { rtt: median });
  }

  function stopMeasuring() {
    if (!measuring) return;
    clearTimeout(measuring.timer);
    measuring = null;
    $('measure').disabled = !connection.isOpen;
  }

  // Wiring

  $('connect-form').addEventListener('submit', (e) => {
    e.preventDefault();
    if (!$('connect').disabled) connect();
  });
  $('disconnect').addEventListener('click', () => close());
  $('reconnect').addEventListener('change', () => { connection.reconnect = $('reconnect').checked; });
  $('text-form').addEventListener('submit', (e) => {
    e.preventDefault();
    sendComposed();
  });
  $('binary-size').addEventListener('change', () => {
    $('file').hidden = $('binary-size').value !== 'file';
  });
  $('send-binary').addEventListener('click', sendChosenBinary);
  $('staged-binary').addEventListener('click', async () => {
    sendBinary(new Uint8Array(await staged.arrayBuffer()));
    unstage();
  });
  $('staged-text').addEventListener('click', async () => {
    sendText(await staged.text());
    unstage();
  });
  $('unstage').addEventListener('click', unstage);
  $('measure').addEventListener('click', startMeasuring);
  $('close-form').addEventListener('submit', (e) => {
    e.preventDefault();
    const code = $('close-code').value.trim();
    // Without a code the browser sends an empty Close frame, which cannot carry a reason.
    if (code === '') close();
    else if (/^\d+$/.test(code)) close(Number(code), $('close-reason').value);
    else showError($('close-error'), 'A status code is a number.', $('close-code'));
  });
  $('filter').addEventListener('input', filter);
  $('filter-direction').addEventListener('change', filter);
  $('save-log').addEventListener('click', saveLog);
  $('clear').addEventListener('click', clear);
  $('jump').addEventListener('click', () => {
    list.followEnd();
    $('log-scroll').focus({ preventScroll: true });
  });
  showState('closed');
  list.changed();
}

// searchable is the text of an entry that the filter searches: of a binary
// message its first bytes in hexadecimal.
function searchable(entry) {
  if (typeof entry.payload === 'string') return entry.payload;
  return entry.payload ? hexPreview(entry.payload, 64) : lineOf(entry);
}

// getRandomValues fills at most 65536 bytes at a time.
function randomBytes(n) {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i += 65536) crypto.getRandomValues(bytes.subarray(i, Math.min(n, i + 65536)));
  return bytes;
}
