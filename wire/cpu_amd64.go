//go:build !purego

package wire

// useAVX2 says whether the assembly may use AVX2 beyond SSE2, which every amd64
// processor has. Only tests change it.
var useAVX2 = hasAVX2()

// hasAVX2 asks the processor whether it has the instructions and the operating
// system whether it saves their registers for each thread. The bits are those
// of Intel's manual: volume 2A, CPUID, and volume 1, Section 13.3.
func hasAVX2() bool {
	const (
		ecx1OSXSAVE = 1 << 27
		ebx7AVX2    = 1 << 5
		stateYMM    = 1<<1 | 1<<2 // the lower halves, XMM, and the upper
	)
	if maxLeaf, _, _, _ := cpuid(0, 0); maxLeaf < 7 {
		return false
	}
	_, _, ecx1, _ := cpuid(1, 0)
	_, ebx7, _, _ := cpuid(7, 0)
	return ecx1&ecx1OSXSAVE != 0 && xgetbv()&stateYMM == stateYMM && ebx7&ebx7AVX2 != 0
}

// cpuid is the instruction CPUID with leaf in EAX and subleaf in ECX.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of the register XCR0, which can be read if CPUID
// says OSXSAVE.
func xgetbv() (xcr0 uint32)
