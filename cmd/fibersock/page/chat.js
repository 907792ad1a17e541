// The chat view. With the subprotocol of the page, the server sends JSON: a welcome with the latest messages, messages,
// and the list of the people. Messages of other clients, such as a command line, have no name.

import { Connection } from './connection.js';
import { perFrame } from './frame.js';
import { clock, codeName, element, showError } from './format.js';
import { endpoint } from './server.js';

const subprotocol = 'fibersock-chat';
const maxMessages = 500;
const maxTextShown = 4096; // characters
const maxNameShown = 40; // characters

const $ = (id) => document.getElementById(id);

export function startChat() {
  const log = $('chat-log');
  const connection = new Connection({ url: named, state: show, open: () => $('chat-text').focus(), message: received, closed: left });
  connection.reconnect = true;
  let self = 0; // this client's number
  let last = ''; // author of the last message
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

  function message({ id, name, text, at }) {
    const mine = id === self;
    const time = new Date(at);
    const author = `${id} ${name}`;
    const head = element('div', { class: 'author' }, element('bdi', {}, mine ? 'You' : name), element('time', { datetime: time.toISOString() }, clock(time, false)));
    append(element('li', { 'data-type': 'message', 'data-mine': mine, 'data-name': name, 'data-follows': author === last }, head, element('div', { class: 'bubble' }, element('bdi', {}, text))));
    last = author;
  }

  // received handles a message of the server, after a check of its types.
  function received(data) {
    const parsed = parse(data);
    switch (parsed.type) {
      case 'welcome': {
        self = parsed.id;
        undrawn = [];
        log.replaceChildren();
        const messages = Array.isArray(parsed.messages) ? parsed.messages : [];
        for (const m of messages) message(valid(m));
        if (messages.length > 0) info(messages.length === 1 ? 'One earlier message.' : `${messages.length} earlier messages.`);
        info('You joined.');
        return;
      }
      case 'people':
        showPeople(Array.isArray(parsed.people) ? parsed.people : [], Number(parsed.others) || 0);
        return;
      case 'message':
        message(valid(parsed));
    }
  }

  function showPeople(people, others) {
    const sorted = people.map(valid).sort((a, b) => a.id - b.id);
    const chips = sorted.map(({ id, name }) => element('li', { 'data-mine': id === self }, element('bdi', {}, id === self ? `${name} (you)` : name)));
    if (others > 0) chips.push(element('li', { 'data-others': others }, others === 1 ? 'one other client' : `${others} other clients`));
    $('chat-people').replaceChildren(...chips);
    $('chat-people').hidden = chips.length === 0;
  }

  function named(url) {
    return `${url}?name=${encodeURIComponent($('chat-name').value.trim())}`;
  }

  function show(state, delay) {
    const joined = state === 'open' || state === 'connecting' || state === 'waiting';
    $('chat-state').dataset.state = state;
    $('chat-state').textContent = state === 'waiting' ? `reconnecting in ${(delay / 1000).toFixed(1)} s` : state;
    $('chat-join').textContent = joined ? 'Leave' : 'Join';
    $('chat-join').classList.toggle('primary', !joined);
    $('chat-join').disabled = state === 'closing';
    $('chat-name').disabled = joined;
    $('chat-text').disabled = state !== 'open';
    $('chat-send').disabled = state !== 'open';
    if (state !== 'open') showPeople([], 0);
  }

  function left({ code, reason }, wasOpen) {
    if (!wasOpen && connection.state === 'waiting') return; // one line for the loss is enough
    info(wasOpen ? 'You left: ' : 'Could not join: ', `${code} ${codeName(code)}`, reason ? ', “' : '', element('bdi', {}, reason), reason ? '”' : '');
  }

  $('chat-join-form').addEventListener('submit', (e) => {
    e.preventDefault();
    if (connection.state !== 'closed' && connection.state !== 'failed') {
      if (connection.state === 'waiting') connection.close();
      else connection.close(1000, 'left the chat');
      return;
    }
    const name = $('chat-name').value.trim();
    showError($('chat-error'), name ? '' : 'Choose a name first.', $('chat-name'));
    if (name) connection.connect(endpoint('chat'), [subprotocol]);
    else $('chat-name').focus();
  });
  $('chat-form').addEventListener('submit', (e) => {
    e.preventDefault();
    const text = $('chat-text').value;
    if (!text.trim() || !connection.isOpen) return;
    connection.send(text);
    $('chat-text').value = '';
  });
  show('closed');
}

function parse(data) {
  try {
    return JSON.parse(data) || {};
  } catch {
    return {};
  }
}

// valid returns {id, name, text, at} of these types and bounded lengths.
function valid(m) {
  const name = typeof m?.name === 'string' && m.name.trim() ? m.name : 'somebody';
  const text = typeof m?.text === 'string' ? m.text : '';
  return { id: Number(m?.id) || 0, name: bounded(name, maxNameShown), text: bounded(text, maxTextShown), at: Number(m?.at) || Date.now() };
}

function bounded(text, limit) {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}
