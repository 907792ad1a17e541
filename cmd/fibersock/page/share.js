// A link that opens this page with the same URL and subprotocols, and its QR
// code for a phone.

import { copy } from './files.js';
import { config, qrURL } from './server.js';

const maxQR = 666; // bytes

const $ = (id) => document.getElementById(id);

// applyLink fills the form from the link by which the page was opened. It does
// not connect: a link may be from anybody.
export function applyLink() {
  const query = new URLSearchParams(location.search);
  const url = query.get('url');
  if (url && /^wss?:\/\//i.test(url)) $('url').value = url;
  const subprotocols = query.get('subprotocols');
  if (subprotocols) {
    $('subprotocols').value = subprotocols;
    $('options').open = true;
  }
}

export function startShare() {
  $('share').addEventListener('toggle', () => {
    if ($('share').open) draw();
  });
  for (const id of ['url', 'subprotocols']) {
    $(id).addEventListener('input', () => { if ($('share').open) draw(); });
  }
  $('share-copy').addEventListener('click', async () => {
    $('share-copy').textContent = await copy($('share-link').value) ? 'Copied' : 'The browser does not allow it';
    setTimeout(() => { $('share-copy').textContent = 'Copy'; }, 1500);
  });
}

// draw shows the link. On this machine the page's own address means nothing to
// a phone, so an address of the server is used if it has one.
async function draw() {
  const { addresses } = await config();
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  const base = new URL(local && addresses?.length ? addresses[0] : location.href.split(/[?#]/)[0]);
  const url = $('url').value.trim();
  const subprotocols = $('subprotocols').value.trim();
  const query = new URLSearchParams();
  if (url) query.set('url', reachable(url, base));
  if (subprotocols) query.set('subprotocols', subprotocols);
  base.search = query;
  $('share-link').value = base.href;
  const fits = new TextEncoder().encode(base.href).length <= maxQR;
  $('share-qr').hidden = !fits;
  if (fits) $('share-qr').src = qrURL(base.href);
  $('share-note').textContent = !fits ? 'The link is too long for a QR code.'
    : local && !addresses?.length ? 'This server listens on the loopback interface only: a phone cannot open the link. Start it with -addr :8080.'
      : 'Scan the code with a phone in the same network.';
}

// reachable returns the URL of an endpoint with the server's address in place
// of the loopback interface.
function reachable(url, base) {
  try {
    const target = new URL(url);
    if (target.host === location.host && base.host !== location.host) target.host = base.host;
    return target.href;
  } catch {
    return url;
  }
}
