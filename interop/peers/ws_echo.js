'use strict';
// The npm package ws as an echo peer: peer/script.go says how it is called.

const { WebSocket, WebSocketServer } = require('ws');

// Of the limits two are in the way of the judge's cases: on a message's bytes, and on its fragments, of which the longest message has 65537.
const limits = (maxPayload) => ({ maxPayload: Number(maxPayload), maxFragments: 128 * 1024 });

function echo(socket) {
	socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
	socket.on('error', () => {}); // the connection ends by itself
}

function serve(host, port, maxPayload) {
	const server = new WebSocketServer({ host, port: Number(port), ...limits(maxPayload), perMessageDeflate: true }, () => {
		const { address, port: bound } = server.address();
		console.log(`ws://${address}:${bound}/`);
	});
	server.on('connection', echo);
}

// connect returns a promise of the connection's end.
function connect(url, maxPayload, use) {
	return new Promise((resolve) => {
		const socket = new WebSocket(url, { ...limits(maxPayload), perMessageDeflate: true });
		socket.on('close', resolve);
		use(socket);
	});
}

async function drive(url, agent, parallel, maxPayload) {
	let count = 0;
	await connect(`${url}/getCaseCount`, maxPayload, (socket) => {
		socket.on('error', fail);
		socket.on('message', (data) => (count = Number(data)));
	});
	let next = 1;
	const runner = async () => {
		while (next <= count) {
			await connect(`${url}/runCase?case=${next++}&agent=${encodeURIComponent(agent)}`, maxPayload, echo);
		}
	};
	await Promise.all(Array.from({ length: Number(parallel) }, runner));
	await connect(`${url}/updateReports?agent=${encodeURIComponent(agent)}`, maxPayload, echo);
	process.exit(0);
}

function fail(error) {
	console.error(String(error));
	process.exit(1);
}

process.stdin.on('end', () => process.exit(0)).resume();
const [command, ...args] = process.argv.slice(2);
({ serve, drive })[command](...args);
