'use strict';
// Node's zlib compresses or decompresses messages: zlib_test.go says how it is called.

const fs = require('node:fs');
const zlib = require('node:zlib');

const tail = Buffer.from([0x00, 0x00, 0xff, 0xff]);

async function main() {
	const { compress, bits, level, messages } = JSON.parse(fs.readFileSync(0));
	const stream = compress ? zlib.createDeflateRaw({ windowBits: bits, level }) : zlib.createInflateRaw({ windowBits: bits });
	let parts = [];
	stream.on('data', (part) => parts.push(part));
	stream.on('error', (error) => {
		console.error(String(error));
		process.exit(1);
	});
	const answer = [];
	for (const message of messages) {
		parts = [];
		stream.write(Buffer.from(message ?? '', 'base64'));
		if (!compress) stream.write(tail);
		await new Promise((done) => stream.flush(done));
		let all = Buffer.concat(parts);
		if (compress && all.subarray(-4).equals(tail)) all = all.subarray(0, -4);
		answer.push(all.toString('base64'));
	}
	process.stdout.write(JSON.stringify(answer));
}

main();
