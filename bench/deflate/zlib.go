//go:build zlib && cgo

package main

/*
#cgo LDFLAGS: -lz
#include <stdlib.h>
#include <zlib.h>

static z_stream *start(int level, int bits, int memory) {
	z_stream *z = calloc(1, sizeof *z);
	if (z && deflateInit2(z, level, Z_DEFLATED, -bits, memory, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

// pack compresses p into out with a sync flush. The result is the size without
// the flush's marker, or -1.
static long pack(z_stream *z, int takeover, void *p, long n, void *out, long most) {
	if (!takeover) deflateReset(z);
	z->next_in = p, z->avail_in = n, z->next_out = out, z->avail_out = most;
	if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in || !z->avail_out) return -1;
	return most - z->avail_out - 4;
}

static z_stream *startInflate(int bits) {
	z_stream *z = calloc(1, sizeof *z);
	if (z && inflateInit2(z, -bits) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

// unpack inflates p, and the marker that the sender removed, into out.
static long unpack(z_stream *z, int takeover, void *p, long n, void *out, long most) {
	static unsigned char marker[] = {0, 0, 255, 255};
	if (!takeover) inflateReset(z);
	z->next_in = p, z->avail_in = n, z->next_out = out, z->avail_out = most;
	int rc = inflate(z, Z_SYNC_FLUSH);
	if ((rc != Z_OK && rc != Z_BUF_ERROR) || z->avail_in || !z->avail_out) return -1;
	z->next_in = marker, z->avail_in = sizeof marker;
	rc = inflate(z, Z_SYNC_FLUSH);
	if ((rc != Z_OK && rc != Z_BUF_ERROR) || z->avail_in || !z->avail_out) return -1;
	return most - z->avail_out;
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// zlibOut receives the output of all, zlibRoom bytes. It is C's memory: the check
// of a pointer to Go's would cost more than zlib.
var zlibOut = C.malloc(zlibRoom)

const zlibRoom = 1 << 20

// zlibVersion is the version of the library.
func zlibVersion() string { return C.GoString(C.zlibVersion()) }

// zlib compresses with zlib at its default level.
func zlib(bits, memory int, takeover bool) contender {
	return contender{"zlib -6", func() (codec, error) {
		z := C.start(6, C.int(bits), C.int(memory))
		if z == nil {
			return nil, errors.New("deflateInit2 failed")
		}
		return zlibCodec(func(p []byte) C.long {
			return C.pack(z, number(takeover), unsafe.Pointer(unsafe.SliceData(p)), C.long(len(p)), zlibOut, zlibRoom)
		}), nil
	}}
}

// zlibInflating inflates with zlib.
func zlibInflating(bits int, takeover bool) contender {
	return contender{"zlib", func() (codec, error) {
		z := C.startInflate(C.int(bits))
		if z == nil {
			return nil, errors.New("inflateInit2 failed")
		}
		return zlibCodec(func(p []byte) C.long {
			return C.unpack(z, number(takeover), unsafe.Pointer(unsafe.SliceData(p)), C.long(len(p)), zlibOut, zlibRoom)
		}), nil
	}}
}

func zlibCodec(f func(p []byte) C.long) codec {
	return func(p []byte) (int, error) {
		n := f(p)
		if n < 0 {
			return 0, errors.New("zlib failed")
		}
		return int(n), nil
	}
}

func number(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
