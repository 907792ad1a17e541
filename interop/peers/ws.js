'use strict';
// The npm package ws as a peer of the interop tests. Commands come on standard input and answers go to standard output, one JSON object a
// line; script_test.go says which. There is one connection at a time: the latest dialled or accepted.

const fs = require('node:fs');
const https = require('node:https');
const readline = require('node:readline');
const { WebSocket, WebSocketServer } = require('ws');

// A queue whose readers wait.
class Queue {
	items = [];
	readers = [];

	push(item) {
		const reader = this.readers.shift();
		if (reader) reader(item);
		else this.items.push(item);
	}

	shift() {
		if (this.items.length > 0) return Promise.resolve(this.items.shift());
		return new Promise((resolve) => this.readers.push(resolve));
	}
}

const accepted = new Queue();
let current;

class Endpoint {
	events = new Queue();
	pongs = new Queue();

	constructor(socket) {
		this.socket = socket;
		socket.on('message', (data, isBinary) => {
			this.events.push({ kind: isBinary ? 'binary' : 'text', data: data.toString('base64') });
		});
		socket.on('pong', (data) => this.pongs.push(data.toString('base64')));
		socket.on('error', (error) => this.events.push({ kind: 'error', error: String(error) }));
		socket.on('close', (code, reason) => this.events.push({ kind: 'close', code, reason: reason.toString() }));
	}

	send(data, options) {
		return new Promise((resolve, reject) => {
			this.socket.send(data, options, (error) => (error ? reject(error) : resolve({})));
		});
	}
}

const commands = {
	listen({ subprotocols, cert, key, deflate }) {
		const options = {
			handleProtocols: (offered) => [...offered].find((name) => subprotocols.includes(name)) ?? false,
			perMessageDeflate: deflate ?? false,
		};
		return new Promise((resolve) => {
			const answer = (scheme, address) => resolve({ url: `${scheme}://127.0.0.1:${address.port}/` });
			let server;
			if (cert) {
				const secure = https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
				server = new WebSocketServer({ ...options, server: secure });
				secure.listen(0, '127.0.0.1', () => answer('wss', secure.address()));
			} else {
				server = new WebSocketServer({ ...options, host: '127.0.0.1', port: 0 }, () => answer('ws', server.address()));
			}
			server.on('connection', (socket) => accepted.push(new Endpoint(socket)));
		});
	},

	async accept() {
		current = await accepted.shift();
		return { subprotocol: current.socket.protocol };
	},

	dial({ url, subprotocols, ca, deflate }) {
		const options = { perMessageDeflate: deflate ?? false, ca: ca && fs.readFileSync(ca) };
		const socket = new WebSocket(url, subprotocols, options);
		current = new Endpoint(socket);
		return new Promise((resolve, reject) => {
			socket.once('open', () => resolve({ subprotocol: socket.protocol }));
			socket.once('error', reject);
		});
	},

	send({ kind, data }) {
		return current.send(Buffer.from(data, 'base64'), { binary: kind === 'binary' });
	},

	async fragments({ kind, parts }) {
		for (const [i, part] of parts.entries()) {
			if (i > 0) await commands.ping({ data: Buffer.from('between').toString('base64') });
			await current.send(Buffer.from(part, 'base64'), { binary: kind === 'binary', fin: i === parts.length - 1 });
		}
		return {};
	},

	async ping({ data }) {
		current.socket.ping(Buffer.from(data, 'base64'));
		return { data: await current.pongs.shift() };
	},

	receive() {
		return current.events.shift();
	},

	close({ code, reason }) {
		if (code === 0) current.socket.close();
		else current.socket.close(code, reason);
		return current.events.shift();
	},
};

async function main() {
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const command = JSON.parse(line);
		let answer;
		try {
			answer = await commands[command.do](command);
		} catch (error) {
			answer = { error: String(error) };
		}
		process.stdout.write(JSON.stringify(answer) + '\n');
	}
	process.exit(0); // the tests are over
}

main();
