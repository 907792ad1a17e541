// One WebSocket of the browser, with reconnection.
//
// States: closed, connecting, open, closing, failed, and waiting for the next
// attempt to connect.

const firstDelay = 500; // milliseconds before the first attempt to reconnect
const maxDelay = 30000;

// Status codes after which a new connection can succeed.
const temporary = new Set([1001, 1006, 1011, 1012, 1013, 1014]);

export class Connection {
  #socket = null;
  #on;
  #state = 'closed';
  #target = null; // {url, subprotocols}
  #attempt = 0; // attempts to reconnect since the connection was last open
  #timer = 0;
  #leaving = false; // the user closes the connection

  reconnect = false;

  // on has the functions url(url), which returns the URL for an attempt,
  // state(state, delay), open(took), message(data) and closed(event, wasOpen).
  constructor(on) {
    this.#on = on;
  }

  get state() { return this.#state; }
  get isOpen() { return this.#socket !== null && this.#socket.readyState === WebSocket.OPEN; }
  get url() { return this.#target?.url || ''; } // in its normal form, once a connection was tried
  get subprotocols() { return this.#target?.subprotocols || []; }
  get subprotocol() { return this.#socket?.protocol || ''; }
  get extensions() { return this.#socket?.extensions || ''; }
  get buffered() { return this.#socket?.bufferedAmount || 0; }

  // connect throws if the browser rejects the URL or a subprotocol.
  connect(url, subprotocols) {
    this.#target = { url: normal(url), subprotocols };
    this.#attempt = 0;
    this.#open();
  }

  send(payload) { this.#socket.send(payload); }

  // close starts the closing handshake, or stops waiting. It throws if the
  // browser rejects the code or the reason.
  close(code, reason) {
    if (this.#state === 'waiting') {
      clearTimeout(this.#timer);
      this.#show('closed');
      return;
    }
    if (!this.#socket) return;
    if (code === undefined) this.#socket.close();
    else this.#socket.close(code, reason);
    this.#leaving = true;
    if (this.#socket.readyState === WebSocket.CLOSING) this.#show('closing');
  }

  #open() {
    const start = performance.now();
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#on.url(this.#target.url), this.#target.subprotocols);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#leaving = false;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#attempt = 0;
      this.#show('open');
      this.#on.open(performance.now() - start);
    };
    socket.onmessage = (event) => this.#on.message(event.data);
    socket.onclose = (event) => {
      this.#socket = null;
      const again = this.reconnect && !this.#leaving && temporary.has(event.code);
      if (again) this.#wait();
      else this.#show(opened && event.wasClean ? 'closed' : 'failed');
      this.#on.closed(event, opened);
    };
    this.#show('connecting');
  }

  // wait connects again after a delay that doubles with each attempt. Its second
  // half is random, so that the clients of a server do not return together.
  #wait() {
    const whole = Math.min(maxDelay, firstDelay * 2 ** this.#attempt++);
    const delay = whole / 2 + Math.random() * whole / 2;
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#show('waiting', delay);
  }

  #show(state, delay) {
    this.#state = state;
    this.#on.state(state, delay);
  }
}

function normal(url) {
  try {
    return new URL(url).href;
  } catch {
    return url; // WebSocket throws, with a better message
  }
}
