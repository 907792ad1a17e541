// The chat view. The server sends every message to everyone and understands none of them; what a message means is agreed
// between pages: a JSON text {id, name, text}, id telling a tab its own messages. Any other text or binary
// message, from a command line for example, is shown as it is.

import { perFrame } from './frame.js';
import { clock, codeName, element, formatSize, hexPreview, showError } from './format.js';

const maxMessages = 500;
const maxTextShown = 4096; // characters
const maxNameShown = 40; // characters

const $ = (id) => document.getElementById(id);

export function startChat(url) {
  const log = $('chat-log');
  const self = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, '0')).join('');
  let socket = null;
  let last = ''; // who wrote the entry at the end of the log

  let undrawn = []; // entries for the next frame

  function append(li) {
    if (undrawn.length === maxMessages) undrawn.shift();
    undrawn.push(li);
    changed();
  }

  // The log follows its end unless the reader has scrolled up.
  const changed = perFrame(() => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
    $('chat-empty').hidden = true;
    log.append(...undrawn);
    undrawn = [];
    while (log.childElementCount > maxMessages) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  });

  function info(...content) {
    last = '';
    append(element('li', { 'data-type': 'info' }, ...content));
  }

  function message({ id, name, text }) {
    const mine = id === self;
    const now = new Date();
    const author = `${id} ${name}`;
    const who = element('div', { class: 'who' }, element('bdi', {}, mine ? 'You' : name), element('time', { datetime: now.toISOString() }, clock(now, false)));
    append(element('li', { 'data-type': 'message', 'data-mine': mine, 'data-name': name, 'data-follows': author === last }, who, element('div', { class: 'bubble' }, element('bdi', {}, text))));
    last = author;
  }

  function show(state) {
    $('chat-state').dataset.state = state;
    $('chat-state').textContent = state;
    $('chat-join').textContent = state === 'open' || state === 'connecting' ? 'Leave' : 'Join';
    $('chat-join').classList.toggle('primary', $('chat-join').textContent === 'Join');
    $('chat-join').disabled = state === 'closing';
    $('chat-name').disabled = state === 'open' || state === 'connecting';
    $('chat-text').disabled = state !== 'open';
    $('chat-send').disabled = state !== 'open';
  }

  function join() {
    const name = $('chat-name').value.trim();
    if (!name) {
      showError($('chat-error'), 'Choose a name first.', $('chat-name'));
      $('chat-name').focus();
      return;
    }
    showError($('chat-error'), '', $('chat-name'));
    socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    show('connecting');
    socket.onopen = () => {
      show('open');
      info('You joined.');
      $('chat-text').focus();
    };
    socket.onmessage = (event) => message(understand(event.data));
    socket.onclose = (event) => {
      const wasOpen = $('chat-state').dataset.state !== 'connecting';
      info(wasOpen ? 'You left: ' : 'Could not join: ', `${event.code} ${codeName(event.code)}`, event.reason ? ', “' : '', element('bdi', {}, event.reason), event.reason ? '”' : '');
      socket = null;
      show(event.wasClean ? 'closed' : 'failed');
    };
  }

  $('chat-join-form').addEventListener('submit', (e) => {
    e.preventDefault();
    if (!socket) {
      join();
      return;
    }
    socket.close(1000, 'left the chat');
    show('closing');
  });
  $('chat-form').addEventListener('submit', (e) => {
    e.preventDefault();
    const text = $('chat-text').value;
    if (!text.trim() || !socket || socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify({ id: self, name: $('chat-name').value.trim(), text }));
    $('chat-text').value = '';
  });
  show('closed');
}

// understand turns whatever a peer sent into {id, name, text}, all strings, all of bounded length.
function understand(data) {
  if (typeof data !== 'string') {
    const bytes = new Uint8Array(data);
    return { id: '', name: 'somebody', text: `${formatSize(bytes.length)} of binary: ${hexPreview(bytes, 24)}` };
  }
  let parsed = null;
  try {
    parsed = JSON.parse(data);
  } catch {
    // Not one of ours: shown as it is.
  }
  if (parsed === null || typeof parsed !== 'object' || typeof parsed.text !== 'string') {
    return { id: '', name: 'somebody', text: bounded(data, maxTextShown) };
  }
  return {
    id: typeof parsed.id === 'string' ? bounded(parsed.id, maxNameShown) : '',
    name: bounded(typeof parsed.name === 'string' && parsed.name.trim() ? parsed.name : 'somebody', maxNameShown),
    text: bounded(parsed.text, maxTextShown),
  };
}

function bounded(text, limit) {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
