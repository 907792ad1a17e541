#!/usr/bin/env -S node --expose-gc
'use strict';
// The npm package ws as a server of the benchmark: flags, first line and control
// lines are those of internal/serve. The package is installed for the
// interoperability tests: make peers.

const fs = require('fs');
const path = require('path');

const defaults = {
	addr: '127.0.0.1:0', cert: '', key: '', cpus: '', deflate: false, takeover: false, 'window-bits': 0, broadcast: false, topics: false, work: 0, 'max-message': 32 << 20,
};

function fail(text) {
	console.error(`npm-ws: ${text}`);
	process.exit(1);
}

// parse reads flags as Go's package flag does: -name, -name=value, -name value.
function parse(args) {
	const flags = { ...defaults };
	while (args.length > 0) {
		const [name, ...rest] = args.shift().replace(/^--?/, '').split('=');
		if (!(name in defaults)) fail(`flag provided but not defined: -${name}`);
		const value = typeof defaults[name] === 'boolean' ? rest.join('=') || 'true' : rest.length > 0 ? rest.join('=') : args.shift();
		if (value === undefined) fail(`flag needs an argument: -${name}`);
		flags[name] = { string: String, number: Number, boolean: (v) => v === 'true' }[typeof defaults[name]](value);
	}
	return flags;
}

const flags = parse(process.argv.slice(2));
if (flags.work > 0) {
	console.error('npm-ws: -work: it has no handler that computes');
	process.exit(3);
}
if (flags.cpus !== '') { // all threads; those that it starts inherit the processors
	require('child_process').execFileSync('taskset', ['-acp', flags.cpus, String(process.pid)]);
}

let ws, version;
try {
	const from = { paths: [path.join(fs.realpathSync(__dirname), '..', '..', '..', 'interop', 'peers')] };
	ws = require(require.resolve('ws', from));
	version = require(require.resolve('ws/package.json', from)).version;
} catch (error) {
	fail('the npm package ws is not installed: make peers');
}

// The package compresses messages of 1 KiB and more by default; here all, as the
// other servers do. The options of zlib are those of its README's example.
function compression() {
	if (!flags.deflate) return false;
	const options = {
		threshold: 0, serverNoContextTakeover: !flags.takeover, clientNoContextTakeover: !flags.takeover,
		zlibDeflateOptions: { chunkSize: 1024, memLevel: 7, level: 3 }, zlibInflateOptions: { chunkSize: 10 * 1024 },
	};
	if (flags['window-bits'] > 0) {
		options.serverMaxWindowBits = options.clientMaxWindowBits = flags['window-bits'];
	}
	return options;
}

const listener = flags.cert
	? require('https').createServer({ cert: fs.readFileSync(flags.cert), key: fs.readFileSync(flags.key) })
	: require('http').createServer();
const server = new ws.WebSocketServer({ server: listener, perMessageDeflate: compression(), maxPayload: flags['max-message'] });

// A message of 33 bytes that begins with 'B' sleeps for a second, which in a
// program for Node is a timer.
function blocks(data, isBinary) {
	return isBinary && data.length === 33 && data[0] === 'B'.charCodeAt(0);
}

// A message of 16 bytes that begins with 'T' subscribes its sender to a topic.
const topics = new Map();
function subscribes(conn, data, isBinary) {
	if (!flags.topics || !isBinary || data.length !== 16 || data[0] !== 'T'.charCodeAt(0)) return false;
	const name = data.toString();
	if (!topics.has(name)) topics.set(name, new Set());
	conn.topic = topics.get(name).add(conn);
	conn.on('close', () => conn.topic.delete(conn));
	return true;
}

server.on('connection', (conn) => {
	const reply = (data, binary) => {
		if (flags.topics) {
			for (const to of conn.topic || []) to.send(data, { binary });
			return;
		}
		if (!flags.broadcast) {
			conn.send(data, { binary });
			return;
		}
		for (const to of server.clients) to.send(data, { binary });
	};
	conn.on('message', (data, binary) => {
		if (subscribes(conn, data, binary)) return;
		if (blocks(data, binary)) setTimeout(reply, 1000, data, binary);
		else reply(data, binary);
	});
	conn.on('error', () => {}); // ws closes the connection
});

const [host, port] = flags.addr.split(':');
listener.listen(Number(port), host, () => {
	const { address, port: bound } = listener.address();
	say({
		listening: `${address}:${bound}`, name: 'npm-ws', module: 'npm ws', version: `${version}, Node ${process.version}`, utf8: true, loop: 'epoll',
		notes: 'one thread of JavaScript and four of zlib; compression: every message, with the memLevel 7, level 3 and chunkSize of the README; broadcast: a loop of send',
	});
});

function say(object) {
	fs.writeSync(1, JSON.stringify(object) + '\n');
}

// Control lines.
let rest = '';
process.stdin.on('data', (chunk) => {
	const lines = (rest + chunk).split('\n');
	rest = lines.pop();
	for (const line of lines) {
		switch (line) {
		case 'gc':
			global.gc();
			global.gc();
			say({ ok: true });
			break;
		case 'stats': // figures of Go's heap, which there is not
			say({ mallocs: 0, alloc_bytes: 0, heap_bytes: 0, goroutines: 0 });
			break;
		default:
			say({ error: `unknown command ${JSON.stringify(line.slice(0, 20))}` });
		}
	}
});
process.stdin.on('end', () => process.exit(0));
