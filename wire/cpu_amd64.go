//go:build !purego

package wire

// useAVX2 lets the assembly use AVX2. Without it the assembly uses SSE2, which
// every amd64 processor has. Only tests change it.
var useAVX2, hasAVX512 = thisProcessor.features()

// A processor reports its features through two instructions. Intel's manual
// defines the bits: volume 2A, CPUID, and volume 1, Section 13.3.
type processor struct {
	cpuid  func(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
	xgetbv func() (xcr0 uint32)
}

var thisProcessor = processor{cpuid, xgetbv}

// features reports which instructions the processor has, if the operating
// system saves their registers for each thread: the YMM registers for AVX2, and
// the ZMM registers for AVX-512. AVX-512 that lowers the clock frequency does
// not count. The processors that lower it lack VBMI2, an extension of Intel's
// Ice Lake and AMD's Zen 4, which the assembly does not use.
func (p processor) features() (avx2, avx512 bool) {
	const (
		ecx1OSXSAVE = 1 << 27
		ebx7AVX2    = 1 << 5
		ebx7AVX512F = 1 << 16
		ecx7VBMI2   = 1 << 6
		stateYMM    = 1<<1 | 1<<2                   // lower halves (XMM) and upper halves
		stateZMM    = stateYMM | 1<<5 | 1<<6 | 1<<7 // mask registers, upper halves, registers 16 to 31
	)
	maxLeaf, _, _, _ := p.cpuid(0, 0)
	_, _, ecx1, _ := p.cpuid(1, 0)
	if maxLeaf < 7 || ecx1&ecx1OSXSAVE == 0 {
		return false, false
	}
	saved := p.xgetbv() // XCR0: the registers that the operating system saves
	_, ebx7, ecx7, _ := p.cpuid(7, 0)
	avx2 = ebx7&ebx7AVX2 != 0 && saved&stateYMM == stateYMM
	avx512 = ebx7&ebx7AVX512F != 0 && ecx7&ecx7VBMI2 != 0 && saved&stateZMM == stateZMM
	return avx2, avx512
}

// cpuid executes CPUID with leaf in EAX and subleaf in ECX.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of the register XCR0. CPUID must report OSXSAVE.
func xgetbv() (xcr0 uint32)
