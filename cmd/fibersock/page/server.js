// The requests to the server of this page. It may be behind a path or a proxy:
// its endpoints are beside the page.

const here = (path) => new URL(path, location.href.split(/[?#]/)[0]);

// endpoint returns the ws or wss URL of an endpoint of this server.
export function endpoint(name) {
  const url = here(name);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

let loaded = null;

// config returns {token, addresses}; both may be missing.
export function config() {
  loaded ||= request('page/config').then((c) => c || {});
  return loaded;
}

// diagnose returns the report of the server's own attempt to connect, or null
// if the server gives none.
export async function diagnose(url, subprotocols) {
  const ask = (token) => token && request('page/diagnose', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Fibersock-Token': token },
    body: JSON.stringify({ url, subprotocols }),
  });
  const { token } = await config();
  const report = await ask(token);
  if (report) return report;
  loaded = null; // a server that was started again has another token
  const { token: next } = await config();
  return (next !== token && await ask(next)) || null;
}

// framesOf returns the frames of a message of a connection that has a name, or
// null.
export function framesOf(name, direction, number) {
  return request(`page/frames?${new URLSearchParams({ frames: name, [direction]: number })}`);
}

// qrURL returns the URL of an image.
export const qrURL = (text) => here(`page/qr?${new URLSearchParams({ text })}`).href;

// compression returns the counters of all connections to /echo, or null.
export const compression = () => request('echo/compression');

async function request(path, options) {
  try {
    const response = await fetch(here(path), options);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
