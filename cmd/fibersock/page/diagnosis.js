// The reason why a connection did not open. The browser hides it from pages, so
// the server of this page tries by itself and reports.

import { element, formatMilliseconds, showError } from './format.js';
import { diagnose } from './server.js';

const $ = (id) => document.getElementById(id);
const names = { dns: 'name lookup', tcp: 'TCP', proxy: 'proxy', tls: 'TLS', handshake: 'handshake', ping: 'ping', close: 'close' };
let latest = 0; // the number of the newest request

export function clearDiagnosis() {
  latest++;
  $('diagnosis').hidden = true;
  $('diagnosis').replaceChildren();
}

// showDiagnosis asks the server and shows its report. It returns a sentence for
// the log, or null if there is nothing new.
export async function showDiagnosis(url, subprotocols) {
  const number = ++latest;
  draw('pending', 'This server tries to connect, to find the reason…');
  const report = await diagnose(url, subprotocols);
  if (number !== latest) return null;
  if (!report) {
    draw('none', 'The browser tells pages no reason.', [
      'This server gives no diagnosis: it does so only on the loopback interface, for this machine.',
      `Run in a terminal: fibersock check ${url}`,
      'Or read the console of the browser’s developer tools.']);
    return null;
  }
  const note = report.notes?.find((n) => n.kind === 'subprotocol');
  const finding = report.problem || note || {
    kind: 'browser',
    text: 'This server can connect, so the browser itself refuses.',
    advice: [
      'A page by https may use wss only.',
      'The certificate may be trusted by this machine and not by the browser: open the URL with https in a tab.',
      'An extension, a proxy setting or a blocked port of the browser may stop it: see its developer tools.'],
  };
  draw(finding.kind, finding.text, finding.advice, finding.error, report);
  return finding.text;
}

function draw(kind, text, advice = [], error = '', report = null) {
  const box = $('diagnosis');
  box.hidden = false;
  box.dataset.kind = kind;
  const parts = [element('p', { class: 'diagnosis-text' }, element('bdi', {}, text))];
  if (error) parts.push(element('p', { class: 'diagnosis-error' }, element('bdi', {}, error)));
  if (advice?.length) parts.push(element('ul', {}, ...advice.map((a) => element('li', {}, element('bdi', {}, a)))));
  if (report?.steps?.length) {
    parts.push(element('ol', { class: 'steps', 'aria-label': 'Steps of the attempt' }, ...report.steps.map((s) => element('li', { 'data-state': s.state },
      element('span', {}, names[s.name] || s.name),
      element('span', { class: 'step-state' }, s.state),
      element('span', {}, formatMilliseconds(s.ms))))));
  }
  const body = report?.http?.body?.trim();
  if (body) parts.push(element('details', {}, element('summary', {}, 'Body of the response'), element('pre', { class: 'full', tabindex: '0' }, element('bdi', {}, body))));
  box.replaceChildren(...parts);
  showError($('connect-error'), '', $('url'));
}
