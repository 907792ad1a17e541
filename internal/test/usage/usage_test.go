package usage

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestHeapMeasuresUse(t *testing.T) {
	const size, little = 8 << 20, 256 << 10 // little: other changes by the runtime
	before := Heap()
	block := make([]byte, size)
	with := Heap()
	runtime.KeepAlive(block)
	if grown := with - before; grown < size-little || grown > 2*size {
		t.Errorf("the heap grew by %d bytes for a block of %d", grown, size)
	}
	if left := Heap() - before; left >= size-little {
		t.Errorf("%d bytes are in use after the block is not", left)
	}
}

func TestFilesSeesOneMore(t *testing.T) {
	before := Files()
	if before == 0 {
		t.Log("this system does not show a process's descriptors")
		return
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	with := Files()
	f.Close()
	if with != before+1 || Files() != before {
		t.Errorf("%d descriptors, %d with one more, %d after that", before, with, Files())
	}
}

func TestTimes(t *testing.T) {
	var times Times
	if n, p50, p99 := times.Take(); n != 0 || p50 != 0 || p99 != 0 {
		t.Errorf("of nothing: %d, %v, %v", n, p50, p99)
	}
	for i := 1000; i > 0; i-- {
		times.add(time.Duration(i))
	}
	if n, p50, p99 := times.Take(); n != 1000 || p50 != 501 || p99 != 991 {
		t.Errorf("of 1 to 1000: %d, %v, %v", n, p50, p99)
	}
	times.Since(time.Now().Add(-time.Hour))
	if n, p50, _ := times.Take(); n != 1 || p50 < time.Hour {
		t.Errorf("of an hour: %d, %v", n, p50)
	}
}
