//go:build !purego

#include "textflag.h"

// func utf8Vectors(p []byte, faults *[3][16]uint8) int
TEXT ·utf8Vectors(SB), NOSPLIT, $0-40
	MOVQ p_base+0(FP), BX
	MOVQ p_len+8(FP), DX
	MOVQ BX, SI                 // current block
	CMPB ·useAVX2(SB), $0
	JEQ  return
	ADDQ BX, DX                 // end of p
	LEAQ -32(DX), DI            // last possible block

ascii4:
	LEAQ      128(SI), AX
	CMPQ      AX, DX
	JHI       asciiMore
	VMOVDQU   (SI), Y0
	VMOVDQU   64(SI), Y1
	VPOR      32(SI), Y0, Y0
	VPOR      96(SI), Y1, Y1
	VPOR      Y0, Y1, Y0
	VPMOVMSKB Y0, CX
	TESTL     CX, CX
	JNZ       ascii
	MOVQ      AX, SI
	JMP       ascii4

asciiNext:
	ADDQ $32, SI

asciiMore:
	CMPQ SI, DI
	JLS  ascii
	CMPQ SI, DX
	JEQ  done
	MOVQ DI, SI                 // the last block overlaps the one before

ascii:
	VMOVDQU   (SI), Y0
	VPMOVMSKB Y0, CX
	TESTL     CX, CX
	JZ        asciiNext

	// Not only ASCII. Back to the ASCII loop after two ASCII blocks.
	MOVQ           faults+24(FP), AX
	VBROADCASTI128 (AX), Y8
	VBROADCASTI128 16(AX), Y9
	VBROADCASTI128 32(AX), Y10
	MOVL           $0x8070600F, AX
	VMOVD          AX, X14
	VPBROADCASTB   X14, Y11     // mask of the low nibble
	VPSRLD         $8, X14, X14
	VPBROADCASTB   X14, Y12     // E0 - 80
	VPSRLD         $8, X14, X14
	VPBROADCASTB   X14, Y13     // F0 - 80
	VPSRLD         $8, X14, X14
	VPBROADCASTB   X14, Y14     // mask of the high bit

	// All bytes before this block are ASCII or outside p: use zeros for them.
	VPERM2I128 $0x08, Y0, Y0, Y4
	VPALIGNR   $15, Y4, Y0, Y1
	VPALIGNR   $14, Y4, Y0, Y2
	VPALIGNR   $13, Y4, Y0, Y3
	JMP        check

text:
	// The bytes, and those one, two and three positions before.
	VMOVDQU (SI), Y0
	VMOVDQU -1(SI), Y1
	VMOVDQU -2(SI), Y2
	VMOVDQU -3(SI), Y3

check:
	// Y4: the faults that all three nibbles permit
	VPSRLW  $4, Y1, Y4
	VPAND   Y11, Y4, Y4
	VPSHUFB Y4, Y8, Y4
	VPAND   Y11, Y1, Y5
	VPSHUFB Y5, Y9, Y5
	VPSRLW  $4, Y0, Y6
	VPAND   Y11, Y6, Y6
	VPSHUFB Y6, Y10, Y6
	VPAND   Y4, Y5, Y4
	VPAND   Y4, Y6, Y4

	// Y2: the high bit, continuations, where a third or fourth byte must be
	VPSUBUSB Y12, Y2, Y2
	VPSUBUSB Y13, Y3, Y3
	VPOR     Y2, Y3, Y2
	VPAND    Y14, Y2, Y2

	VPXOR     Y2, Y4, Y4
	VPTEST    Y4, Y4
	JNZ       done
	ADDQ      $32, SI
	MOVL      CX, AX            // high bits of the block before
	VPMOVMSKB Y0, CX
	ORL       CX, AX
	JZ        ascii4
	CMPQ      SI, DI
	JLS       text
	LEAQ      3(SI), AX
	CMPQ      AX, DX
	JHI       done              // a block at the end of p could start within its first three bytes
	MOVQ      DI, SI
	JMP       text

done:
	VZEROUPPER

return:
	SUBQ BX, SI
	MOVQ SI, ret+32(FP)
	RET
