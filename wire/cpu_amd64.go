//go:build !purego

package wire

// useAVX2 lets the assembly use AVX2. Without it the assembly uses SSE2, which
// every amd64 processor has. Only tests change it.
var useAVX2 = thisProcessor.hasAVX2()

// A processor reports its features through two instructions. Intel's manual
// defines the bits: volume 2A, CPUID, and volume 1, Section 13.3.
type processor struct {
	cpuid  func(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
	xgetbv func() (xcr0 uint32)
}

var thisProcessor = processor{cpuid, xgetbv}

// hasAVX2 reports whether the processor has AVX2 and the operating system saves
// the YMM registers of each thread.
func (p processor) hasAVX2() bool {
	const (
		ebx7AVX2 = 1 << 5
		stateYMM = 1<<1 | 1<<2 // lower halves (XMM) and upper halves
	)
	ebx7, _ := p.leaf7()
	return ebx7&ebx7AVX2 != 0 && p.savedState()&stateYMM == stateYMM
}

// hasAVX512 reports whether the processor has AVX-512 without a lower clock
// frequency, and the operating system saves the ZMM registers. The processors
// that lower the frequency lack VBMI2, an extension of Intel's Ice Lake and
// AMD's Zen 4, which the assembly does not use.
func (p processor) hasAVX512() bool {
	const (
		ebx7AVX512F = 1 << 16
		ecx7VBMI2   = 1 << 6
		stateYMM    = 1<<1 | 1<<2
		stateZMM    = stateYMM | 1<<5 | 1<<6 | 1<<7 // mask registers, upper halves, registers 16 to 31
	)
	ebx7, ecx7 := p.leaf7()
	return ebx7&ebx7AVX512F != 0 && ecx7&ecx7VBMI2 != 0 && p.savedState()&stateZMM == stateZMM
}

// leaf7 returns the bits of CPUID's leaf 7, or zeros if the processor has no
// leaf 7.
func (p processor) leaf7() (ebx, ecx uint32) {
	if maxLeaf, _, _, _ := p.cpuid(0, 0); maxLeaf < 7 {
		return 0, 0
	}
	_, ebx, ecx, _ = p.cpuid(7, 0)
	return ebx, ecx
}

// savedState returns XCR0, whose bits are the registers that the operating
// system saves. It returns 0 if XCR0 cannot be read.
func (p processor) savedState() (xcr0 uint32) {
	const ecx1OSXSAVE = 1 << 27
	if _, _, ecx1, _ := p.cpuid(1, 0); ecx1&ecx1OSXSAVE == 0 {
		return 0
	}
	return p.xgetbv()
}

// cpuid executes CPUID with leaf in EAX and subleaf in ECX.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of the register XCR0. CPUID must report OSXSAVE.
func xgetbv() (xcr0 uint32)
