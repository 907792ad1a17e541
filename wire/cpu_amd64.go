//go:build !purego

package wire

// useAVX2 says whether the assembly may use AVX2 beyond SSE2, which every amd64
// processor has. Only tests change it.
var useAVX2 = thisProcessor.hasAVX2()

// A processor is asked with two instructions what it is able to do. The bits
// are those of Intel's manual: volume 2A, CPUID, and volume 1, Section 13.3.
type processor struct {
	cpuid  func(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
	xgetbv func() (xcr0 uint32)
}

var thisProcessor = processor{cpuid, xgetbv}

// hasAVX2 reports whether the processor has the instructions and the operating
// system saves their registers for each thread.
func (p processor) hasAVX2() bool {
	const (
		ebx7AVX2 = 1 << 5
		stateYMM = 1<<1 | 1<<2 // the lower halves, XMM, and the upper
	)
	ebx7, _ := p.leaf7()
	return ebx7&ebx7AVX2 != 0 && p.savedState()&stateYMM == stateYMM
}

// hasAVX512 is hasAVX2 for AVX-512 on a processor that does not slow down all
// of its work for the sake of it. The first ones did. They lack VBMI2, which
// came with Intel's Ice Lake and AMD's Zen 4, and is not used itself.
func (p processor) hasAVX512() bool {
	const (
		ebx7AVX512F = 1 << 16
		ecx7VBMI2   = 1 << 6
		stateYMM    = 1<<1 | 1<<2
		stateZMM    = stateYMM | 1<<5 | 1<<6 | 1<<7 // the mask registers, the upper halves, and 16 to 31
	)
	ebx7, ecx7 := p.leaf7()
	return ebx7&ebx7AVX512F != 0 && ecx7&ecx7VBMI2 != 0 && p.savedState()&stateZMM == stateZMM
}

// leaf7 returns the bits of CPUID's leaf 7, none if the processor has no such
// leaf.
func (p processor) leaf7() (ebx, ecx uint32) {
	if maxLeaf, _, _, _ := p.cpuid(0, 0); maxLeaf < 7 {
		return 0, 0
	}
	_, ebx, ecx, _ = p.cpuid(7, 0)
	return ebx, ecx
}

// savedState returns which registers the operating system saves, as bits of
// XCR0, none if it does not say.
func (p processor) savedState() (xcr0 uint32) {
	const ecx1OSXSAVE = 1 << 27
	if _, _, ecx1, _ := p.cpuid(1, 0); ecx1&ecx1OSXSAVE == 0 {
		return 0
	}
	return p.xgetbv()
}

// cpuid is the instruction CPUID with leaf in EAX and subleaf in ECX.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of the register XCR0, which can be read if CPUID
// says OSXSAVE.
func xgetbv() (xcr0 uint32)
