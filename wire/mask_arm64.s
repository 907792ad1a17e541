//go:build !purego

#include "textflag.h"

// The first and the last bytes of the payload are masked into registers before
// anything is stored. Both ends may therefore overlap each other and the blocks
// between them, also in place, and no length needs a loop over single bytes.

// func maskVectors(dst, src *byte, n int, key uint32)
TEXT ·maskVectors(SB), NOSPLIT|NOFRAME, $0-28
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVWU key+24(FP), R3

	// R4 is the key for a piece that starts a multiple of 4 bytes before the
	// end. The rotation uses only the low 5 bits of R4.
	LSLW $3, R2, R4
	RORW R4, R3, R4
	VDUP R3, V0.S4
	VDUP R4, V1.S4
	ADD  R1, R2, R5 // the end of src
	ADD  R0, R2, R6 // the end of dst
	CMP  $64, R2
	BHI  over64

	SUB  $32, R5
	SUB  $32, R6
	VLD1 (R1), [V2.B16, V3.B16]
	VLD1 (R5), [V4.B16, V5.B16]
	VEOR V0.B16, V2.B16, V2.B16
	VEOR V0.B16, V3.B16, V3.B16
	VEOR V1.B16, V4.B16, V4.B16
	VEOR V1.B16, V5.B16, V5.B16
	VST1 [V2.B16, V3.B16], (R0)
	VST1 [V4.B16, V5.B16], (R6)
	RET

over64:
	// The last 64 bytes.
	SUB  $64, R5
	SUB  $64, R6
	VLD1 (R5), [V2.B16, V3.B16, V4.B16, V5.B16]
	VEOR V1.B16, V2.B16, V2.B16
	VEOR V1.B16, V3.B16, V3.B16
	VEOR V1.B16, V4.B16, V4.B16
	VEOR V1.B16, V5.B16, V5.B16

loop64:
	VLD1.P 64(R1), [V16.B16, V17.B16, V18.B16, V19.B16]
	VEOR   V0.B16, V16.B16, V16.B16
	VEOR   V0.B16, V17.B16, V17.B16
	VEOR   V0.B16, V18.B16, V18.B16
	VEOR   V0.B16, V19.B16, V19.B16
	VST1.P [V16.B16, V17.B16, V18.B16, V19.B16], 64(R0)
	CMP    R6, R0
	BLO    loop64

	VST1 [V2.B16, V3.B16, V4.B16, V5.B16], (R6)
	RET
