//go:build !purego

#include "textflag.h"

// FAULTS leaves a nonzero byte in b where a byte of b is a fault after b1, b2 and
// b3, the bytes one, two and three positions before.
#define FAULTS(b, b1, b2, b3) \
	VUSHR $4, b1.B16, V24.B16             \
	VTBL  V24.B16, [V16.B16], V24.B16     \
	VAND  V19.B16, b1.B16, V25.B16        \
	VTBL  V25.B16, [V17.B16], V25.B16     \
	VUSHR $4, b.B16, V26.B16              \
	VTBL  V26.B16, [V18.B16], V26.B16     \
	VAND  V24.B16, V25.B16, V25.B16       \
	VAND  V25.B16, V26.B16, V26.B16       \
	VUMAX V20.B16, b2.B16, V24.B16        \ // lead byte of three or four bytes?
	VCMEQ V24.B16, b2.B16, V24.B16        \
	VUMAX V21.B16, b3.B16, V25.B16        \ // lead byte of four bytes?
	VCMEQ V25.B16, b3.B16, V25.B16        \
	VORR  V24.B16, V25.B16, V25.B16       \
	VAND  V22.B16, V25.B16, V25.B16       \
	VEOR  V25.B16, V26.B16, b.B16

// func utf8Vectors(p []byte, faults *[3][16]uint8) int
TEXT ·utf8Vectors(SB), NOSPLIT, $0-40
	MOVD p_base+0(FP), R0
	MOVD p_len+8(FP), R1
	MOVD R0, R2                 // current block
	ADD  R0, R1                 // end of p
	SUB  $32, R1, R3            // last possible block

ascii2:
	ADD  $64, R2, R4
	CMP  R1, R4
	BHI  asciiMore
	VLD1 (R2), [V0.B16, V1.B16, V2.B16, V3.B16]
	VORR V0.B16, V1.B16, V0.B16
	VORR V2.B16, V3.B16, V2.B16
	VORR V0.B16, V2.B16, V0.B16
	VMOV V0.D[0], R5
	VMOV V0.D[1], R6
	ORR  R6, R5
	TST  $0x8080808080808080, R5
	BNE  ascii
	MOVD R4, R2
	B    ascii2

asciiNext:
	ADD  $32, R2

asciiMore:
	CMP  R3, R2
	BLS  ascii
	CMP  R1, R2
	BEQ  done
	MOVD R3, R2                 // the last block overlaps the one before

ascii:
	VLD1 (R2), [V0.B16, V1.B16]
	VORR V0.B16, V1.B16, V1.B16
	VMOV V1.D[0], R5
	VMOV V1.D[1], R6
	ORR  R6, R5
	TST  $0x8080808080808080, R5
	BEQ  asciiNext

	// Not only ASCII. Back to the ASCII loop after two ASCII blocks.
	MOVD  R5, R7
	MOVD  faults+24(FP), R5
	VLD1  (R5), [V16.B16, V17.B16, V18.B16]
	VMOVI $0x0F, V19.B16
	VMOVI $0xE0, V20.B16
	VMOVI $0xF0, V21.B16
	VMOVI $0x80, V22.B16

	// All bytes before this block are ASCII or outside p: use zeros for them.
	VEOR V4.B16, V4.B16, V4.B16
	VEXT $15, V0.B16, V4.B16, V1.B16
	VEXT $14, V0.B16, V4.B16, V2.B16
	VEXT $13, V0.B16, V4.B16, V3.B16
	B    check

text:
	// The bytes, and those one, two and three positions before.
	FMOVQ (R2), F0
	FMOVQ -1(R2), F1
	FMOVQ -2(R2), F2
	FMOVQ -3(R2), F3

check:
	FMOVQ 16(R2), F4
	FMOVQ 15(R2), F5
	FMOVQ 14(R2), F6
	FMOVQ 13(R2), F7
	VORR  V0.B16, V4.B16, V23.B16
	FAULTS(V0, V1, V2, V3)
	FAULTS(V4, V5, V6, V7)
	VORR  V0.B16, V4.B16, V0.B16
	VMOV  V0.D[0], R5
	VMOV  V0.D[1], R6
	ORR   R6, R5
	CBNZ  R5, done
	ADD   $32, R2
	MOVD  R7, R8                // the block before
	VMOV  V23.D[0], R7
	VMOV  V23.D[1], R6
	ORR   R6, R7
	ORR   R7, R8
	TST   $0x8080808080808080, R8
	BEQ   ascii2
	CMP   R3, R2
	BLS   text
	ADD   $3, R2, R4
	CMP   R1, R4
	BHI   done                  // a block at the end of p could start within its first three bytes
	MOVD  R3, R2
	B     text

done:
	SUB  R0, R2
	MOVD R2, ret+32(FP)
	RET
