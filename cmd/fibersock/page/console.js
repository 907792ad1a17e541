// The echo view: one connection, a form to send, a log of everything that happened.

import { Echoes } from './echoes.js';
import { Saved } from './saved.js';
import { Totals } from './totals.js';
import { appendBounded, byteLength, clock, codeName, element, formatMilliseconds, formatSize, hexPreview, quantile, showError } from './format.js';

const maxEntries = 500;
const maxTextShown = 4096; // characters of one message in the log
const maxBytesShown = 12;
const measureCount = 100;
const measureTimeout = 5000; // milliseconds for one echo

const $ = (id) => document.getElementById(id);
const names = { connecting: 'connecting', open: 'open', closing: 'closing', closed: 'closed', failed: 'failed' };
const arrows = { out: '↑', in: '↓', open: '✓', close: '■', error: '!', measure: '≈' };

export function startConsole(defaultURL) {
  const log = $('log');
  const echoes = new Echoes();
  const totals = new Totals();
  const saved = new Saved();
  let socket = null;
  let openingAt = 0;
  let measuring = null; // {rtts, sentAt, timer} while the 100 echoes are timed

  $('url').value = defaultURL;

  // The log

  function entry(dir, type, attributes, body, size, rtt) {
    const now = new Date();
    const li = element('li', { 'data-dir': dir, 'data-type': type, 'data-size': size, 'data-rtt': rtt === undefined ? undefined : rtt.toFixed(3), ...attributes },
      element('time', { datetime: now.toISOString() }, clock(now, true)),
      element('span', { class: 'arrow', role: 'img', 'aria-label': { out: 'sent', in: 'received' }[dir] || type }, arrows[dir] || arrows[type]),
      element('div', { class: 'body' }, ...body));
    if (size !== undefined) {
      li.append(element('span', { class: 'rtt', title: 'round-trip time' }, rtt === undefined ? '' : formatMilliseconds(rtt)), element('span', { class: 'size' }, formatSize(size)));
    }
    $('log-empty').hidden = true;
    appendBounded(log, li, maxEntries);
  }

  function textBody(text) {
    if (text === '') return [element('span', { class: 'more' }, 'empty text message')];
    if (text.length <= maxTextShown) return [element('bdi', {}, text)];
    return [element('bdi', {}, text.slice(0, maxTextShown)), element('span', { class: 'more' }, ` … and ${text.length - maxTextShown} more characters`)];
  }

  function binaryBody(bytes, verdict) {
    const body = [bytes.length === 0 ? element('span', { class: 'more' }, 'empty binary message') : hexPreview(bytes, maxBytesShown)];
    if (verdict && verdict.rtt !== undefined) body.push(' ', element('span', { class: 'chip good' }, '✓ identical'));
    if (verdict && verdict.difference !== undefined) body.push(' ', element('span', { class: 'chip bad' }, `differs from byte ${verdict.difference} on`));
    return body;
  }

  // The connection

  function show(state) {
    $('state').dataset.state = state;
    $('state').textContent = names[state];
    const open = state === 'open';
    $('connect').disabled = state === 'connecting' || open || state === 'closing';
    $('disconnect').disabled = !(state === 'connecting' || open);
    $('send-card').disabled = !open;
    $('close-card').disabled = !open;
    $('facts').hidden = !(open || state === 'closing');
  }

  function connect() {
    const url = $('url').value.trim();
    const subprotocols = $('subprotocols').value.split(/[\s,]+/).filter(Boolean);
    showError($('connect-error'), '', $('url'));
    let ws;
    try {
      ws = new WebSocket(url, subprotocols);
    } catch (e) {
      showError($('connect-error'), e.name === 'SyntaxError' ? `The browser does not take this URL or subprotocol: ${e.message}` : e.message, $('url'));
      return;
    }
    ws.binaryType = 'arraybuffer';
    socket = ws;
    echoes.clear();
    totals.reset();
    openingAt = performance.now();
    show('connecting');
    ws.onopen = onOpen;
    ws.onmessage = onMessage;
    ws.onclose = onClose;
  }

  function onOpen() {
    const took = performance.now() - openingAt;
    $('agreed-subprotocol').textContent = socket.protocol || 'none';
    $('agreed-extensions').textContent = socket.extensions || 'none';
    $('opened-in').textContent = formatMilliseconds(took);
    show('open');
    saved.start(socket);
    entry('event', 'open', {}, ['Connected to ', element('bdi', {}, socket.url)]);
    $('message').focus();
  }

  function onMessage(event) {
    const at = performance.now();
    const text = typeof event.data === 'string';
    const payload = text ? event.data : new Uint8Array(event.data);
    const size = text ? byteLength(payload) : payload.length;
    const verdict = echoes.received(payload, at);
    totals.received(size, verdict.rtt);
    saved.changed();
    if (measuring && verdict.rtt !== undefined) {
      measured(verdict.rtt);
      return;
    }
    if (text) {
      entry('in', 'text', {}, textBody(payload), size, verdict.rtt);
      return;
    }
    const verified = verdict.rtt !== undefined ? 'true' : verdict.difference !== undefined ? 'false' : undefined;
    entry('in', 'binary', { 'data-verified': verified }, binaryBody(payload, verdict), size, verdict.rtt);
  }

  function onClose(event) {
    stopMeasuring();
    saved.stop();
    const wasOpen = $('state').dataset.state !== 'connecting';
    if (!wasOpen) {
      entry('event', 'error', {}, ['Could not connect to ', element('bdi', {}, socket.url), '. The browser tells pages no more than that; its developer tools know why.']);
    }
    const body = [element('strong', {}, `Closed ${event.code}`), ` ${codeName(event.code)}`];
    if (event.reason) body.push(', reason “', element('bdi', {}, event.reason), '”');
    body.push(' ', element('span', { class: event.wasClean ? 'chip good' : 'chip bad' }, event.wasClean ? 'clean' : 'not clean'));
    entry('event', 'close', { 'data-code': event.code, 'data-reason': event.reason, 'data-clean': event.wasClean }, body);
    socket = null;
    show(wasOpen && event.wasClean ? 'closed' : 'failed');
  }

  function close(code, reason) {
    if (!socket) return;
    showError($('close-error'), '', $('close-code'));
    try {
      if (code === undefined) socket.close();
      else socket.close(code, reason);
    } catch (e) {
      showError($('close-error'), e.name === 'InvalidAccessError' ? 'A page may close with 1000 or with 3000 to 4999.' : 'The reason must fit into 123 bytes of UTF-8.', $('close-code'));
      return;
    }
    if (socket.readyState === WebSocket.CLOSING) show('closing');
  }

  // Sending

  function transmit(payload, size) {
    echoes.sent(payload, performance.now());
    socket.send(payload);
    totals.sent(size);
  }

  function sendText(text) {
    const size = byteLength(text);
    entry('out', 'text', {}, textBody(text), size);
    transmit(text, size);
  }

  function sendBinary(bytes) {
    entry('out', 'binary', {}, binaryBody(bytes), bytes.length);
    transmit(bytes, bytes.length);
  }

  async function sendChosenBinary() {
    const choice = $('binary-size').value;
    if (choice !== 'file') {
      sendBinary(randomBytes(Number(choice)));
      return;
    }
    const file = $('file').files[0];
    if (!file) {
      $('file').click();
      return;
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (socket && socket.readyState === WebSocket.OPEN) sendBinary(bytes);
  }

  // Timing 100 echoes: the next is sent when the last has come back, so that no message waits for another.

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
      entry('event', 'error', {}, [`No echo within ${measureTimeout / 1000} s: is this an echo server?`]);
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
    stopMeasuring();
    entry('event', 'measure', { 'data-rtt': quantile(sorted, 0.5).toFixed(3) }, [
      element('strong', {}, `${measureCount} echoes`), ': fastest ', formatMilliseconds(sorted[0]),
      ', median ', element('strong', {}, formatMilliseconds(quantile(sorted, 0.5))),
      ', slowest ', formatMilliseconds(sorted[sorted.length - 1])]);
  }

  function stopMeasuring() {
    if (!measuring) return;
    clearTimeout(measuring.timer);
    measuring = null;
    $('measure').disabled = false;
  }

  // Wiring

  $('connect-form').addEventListener('submit', (e) => {
    e.preventDefault();
    if (!socket) connect();
  });
  $('disconnect').addEventListener('click', () => close());
  $('text-form').addEventListener('submit', (e) => {
    e.preventDefault();
    sendText($('message').value);
    $('message').select();
  });
  $('message').addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      $('text-form').requestSubmit($('send-text'));
    }
  });
  $('binary-size').addEventListener('change', () => {
    $('file').hidden = $('binary-size').value !== 'file';
  });
  $('send-binary').addEventListener('click', sendChosenBinary);
  $('measure').addEventListener('click', startMeasuring);
  $('close-form').addEventListener('submit', (e) => {
    e.preventDefault();
    const code = $('close-code').value.trim();
    // Without a code the browser sends an empty Close frame, which cannot carry a reason.
    if (code === '') close();
    else if (/^\d+$/.test(code)) close(Number(code), $('close-reason').value);
    else showError($('close-error'), 'A status code is a number.', $('close-code'));
  });
  $('clear').addEventListener('click', () => {
    log.replaceChildren();
    $('log-empty').hidden = false;
  });
  show('closed');
}

// getRandomValues fills at most 65536 bytes at a time.
function randomBytes(n) {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i += 65536) crypto.getRandomValues(bytes.subarray(i, Math.min(n, i + 65536)));
  return bytes;
}
