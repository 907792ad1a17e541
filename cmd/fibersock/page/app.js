// The page of `fibersock serve`: no framework, no build step, no external asset.
//
// Elements that a test uses have an id, and the same value as data-testid.
//
//   Views    #tab-console  #tab-chat  (also the fragments #echo and #chat)
//   Echo     #url  #subprotocols  #reconnect  #connect  #disconnect  #connect-error
//            #state             data-state: closed, connecting, open, closing, failed, waiting (to reconnect)
//            #diagnosis         data-kind: the cause of a failure as 'fibersock check' names it, pending, none, browser
//            #agreed-subprotocol  #agreed-extensions
//            #share  #share-link  #share-copy  #share-qr  #share-note
//            #message  #times (1, 100, 10000)  #send-text  #send-error
//            #measure           100 echoes one after the other, summed up in one entry
//            #binary-size (1024, 65536, 1048576, file)  #file  #send-binary
//            #drop  #staged  #staged-binary  #staged-text     a dropped file
//            #saved  #save-name  #save-message  #forget-message
//            #close-code  #close-reason  #close  #close-error
//            #sent-count  #received-count  #rtt-median  #rtt-graph  #rtt-plot  #rtt-facts
//   Log      #filter  #filter-direction (all, out, in, event)  #save-log  #clear  #jump
//            #kept              data-kept, data-dropped: numbers of entries
//   #log     one <li> per entry in sight, newest last:
//            data-seq       number of the entry, from 0
//            data-dir       out, in, event
//            data-type      text, binary; for events open, close, error, measure
//            data-size      payload bytes (out and in)
//            data-rtt       milliseconds, on a message that is the echo of a sent one
//            data-verified  true, false: a received binary message against the bytes sent
//            data-code, data-reason, data-clean   on close: as in the browser's CloseEvent
//            .line expands it; .details has buttons with data-action: copy, save, resend, edit, view, expand-all,
//            and [data-part=frames] with [data-source] (counted, computed) and [data-before][data-after] bytes
//   Chat     #chat-name  #chat-join (joins and leaves)  #chat-state  #chat-error  #chat-text  #chat-send
//            #chat-people       one <li> per person, data-mine; one with data-others for clients without a name
//   #chat-log  one <li> per message: data-mine, data-name, data-type (message, info)

import { startConsole } from './console.js';
import { startChat } from './chat.js';

const tabs = [
  { tab: document.getElementById('tab-console'), view: document.getElementById('view-console'), hash: '#echo' },
  { tab: document.getElementById('tab-chat'), view: document.getElementById('view-chat'), hash: '#chat' },
];

function select(index, focus) {
  tabs.forEach(({ tab, view }, i) => {
    const chosen = i === index;
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    view.hidden = !chosen;
    if (chosen && focus) tab.focus();
  });
  history.replaceState(null, '', index === 0 ? location.pathname + location.search : tabs[index].hash);
}

function selectFromHash() {
  select(Math.max(0, tabs.findIndex((t) => t.hash === location.hash)), false);
}

tabs.forEach(({ tab }, i) => {
  tab.addEventListener('click', () => select(i, false));
  tab.addEventListener('keydown', (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (step) select((i + step + tabs.length) % tabs.length, true);
  });
});
window.addEventListener('hashchange', selectFromHash);
selectFromHash();

// On a small screen the messages have the space.
document.getElementById('options').open = !matchMedia('(max-width: 58rem)').matches;

startConsole();
startChat();
