//go:build !purego

package wire

import (
	"math"
	"testing"
)

// fakeProcessor holds the results of CPUID and XGETBV, by the names of Intel's
// manual.
type fakeProcessor struct {
	maxLeaf    uint32 // leaf 0, EAX
	ecx1       uint32 // leaf 1, ECX
	ebx7, ecx7 uint32 // leaf 7, subleaf 0
	xcr0       uint32
}

// processor returns a processor with the results of p. Like Intel's processors
// it answers a leaf above the highest with the highest leaf, and XGETBV without
// OSXSAVE is a fault.
func (p fakeProcessor) processor(t *testing.T) processor {
	return processor{
		cpuid: func(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32) {
			switch {
			case leaf > p.maxLeaf:
				return math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32
			case leaf == 0:
				return p.maxLeaf, 0x756e6547, 0x6c65746e, 0x49656e69 // GenuineIntel
			case leaf == 1:
				return 0, 0, p.ecx1, 0
			case leaf == 7 && subleaf == 0:
				return 0, p.ebx7, p.ecx7, 0
			}
			return 0, 0, 0, 0
		},
		xgetbv: func() uint32 {
			if p.ecx1&(1<<27) == 0 {
				t.Error("XGETBV without OSXSAVE is an invalid instruction")
			}
			return p.xcr0
		},
	}
}

// TestProcessorsAreRecognized clears each bit of the manual once. An
// instruction that the processor lacks ends the process, and registers that the
// operating system does not save are overwritten by other threads.
func TestProcessorsAreRecognized(t *testing.T) {
	const (
		osxsave = 1 << 27
		avx2    = 1 << 5
		avx512f = 1 << 16
		vbmi2   = 1 << 6
		x87     = 1 << 0
		xmm     = 1 << 1
		ymm     = 1 << 2
		opmask  = 1 << 5
		zmmHigh = 1 << 6
		zmm16   = 1 << 7
		all     = x87 | xmm | ymm | opmask | zmmHigh | zmm16
	)
	iceLake := func(change func(p *fakeProcessor)) fakeProcessor {
		p := fakeProcessor{maxLeaf: 27, ecx1: osxsave, ebx7: avx2 | avx512f, ecx7: vbmi2, xcr0: all}
		change(&p)
		return p
	}
	for _, tt := range []struct {
		name         string
		p            fakeProcessor
		avx2, avx512 bool
	}{
		{"Nehalem", fakeProcessor{maxLeaf: 11}, false, false},
		{"the highest leaf is 6", fakeProcessor{maxLeaf: 6, ecx1: osxsave, ebx7: avx2 | avx512f, ecx7: vbmi2, xcr0: all}, false, false},
		{"the highest leaf is 7", fakeProcessor{maxLeaf: 7, ecx1: osxsave, ebx7: avx2, xcr0: x87 | xmm | ymm}, true, false},
		{"Haswell", fakeProcessor{maxLeaf: 13, ecx1: osxsave, ebx7: avx2, xcr0: x87 | xmm | ymm}, true, false},
		{"Skylake-X, which AVX-512 slows down", fakeProcessor{maxLeaf: 22, ecx1: osxsave, ebx7: avx2 | avx512f, xcr0: all}, true, false},
		{"Ice Lake", iceLake(func(*fakeProcessor) {}), true, true},
		{"all bits are set", fakeProcessor{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32}, true, true},
		{"without XSAVE by the operating system", iceLake(func(p *fakeProcessor) { p.ecx1 = 0 }), false, false},
		{"only XSAVE in leaf 1, not by the operating system", iceLake(func(p *fakeProcessor) { p.ecx1 = ^uint32(osxsave) }), false, false},
		{"AVX2 turned off", iceLake(func(p *fakeProcessor) { p.ebx7 &^= avx2 }), false, true},
		{"all of EBX but AVX2 and AVX-512", iceLake(func(p *fakeProcessor) { p.ebx7 = ^uint32(avx2 | avx512f) }), false, false},
		{"all of ECX but VBMI2", iceLake(func(p *fakeProcessor) { p.ecx7 = ^uint32(vbmi2) }), true, false},
		{"all of EBX but AVX-512", iceLake(func(p *fakeProcessor) { p.ebx7 = ^uint32(avx512f) }), true, false},
		{"XMM is not saved", iceLake(func(p *fakeProcessor) { p.xcr0 = ^uint32(xmm) }), false, false},
		{"YMM is not saved", iceLake(func(p *fakeProcessor) { p.xcr0 = ^uint32(ymm) }), false, false},
		{"the mask registers are not saved", iceLake(func(p *fakeProcessor) { p.xcr0 = ^uint32(opmask) }), true, false},
		{"the upper halves of ZMM are not saved", iceLake(func(p *fakeProcessor) { p.xcr0 = ^uint32(zmmHigh) }), true, false},
		{"ZMM16 to ZMM31 are not saved", iceLake(func(p *fakeProcessor) { p.xcr0 = ^uint32(zmm16) }), true, false},
		{"only XMM and YMM are saved", iceLake(func(p *fakeProcessor) { p.xcr0 = xmm | ymm }), true, false},
		{"only AVX-512's are saved", iceLake(func(p *fakeProcessor) { p.xcr0 = xmm | ymm | opmask | zmmHigh | zmm16 }), true, true},
		{"nothing is saved", iceLake(func(p *fakeProcessor) { p.xcr0 = 0 }), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.p.processor(t)
			avx2, avx512 := p.features()
			if avx2 != tt.avx2 || avx512 != tt.avx512 {
				t.Errorf("AVX2 %v, AVX-512 %v; want %v, %v", avx2, avx512, tt.avx2, tt.avx512)
			}
			from := math.MaxInt
			if tt.avx512 {
				from = 8192
			}
			if got := lengthForAVX512(avx512); got != from {
				t.Errorf("AVX-512 is used from %d bytes on, want %d", got, from)
			}
		})
	}
}

// TestThisProcessor checks that the assembly uses all features of this
// processor.
func TestThisProcessor(t *testing.T) {
	avx2, avx512 := thisProcessor.features()
	if useAVX2 != avx2 || avx512From != lengthForAVX512(avx512) {
		t.Errorf("AVX2 is used: %v, AVX-512 from %d bytes on; the processor has %v, %v", useAVX2, avx512From, avx2, avx512)
	}
	_, _, ecx, _ := thisProcessor.cpuid(1, 0)
	if hasAVX := ecx>>28&1 == 1; avx2 && !hasAVX {
		t.Error("this processor has AVX2 and no AVX")
	}
}
