/* SPDX-License-Identifier: GPL-2.0-only */
/* Entered in 64-bit mode, the first 4 GiB mapped as themselves: the Linux boot protocol's least. */
	.section .text.start, "ax"
	.globl start
	.type start, @function
start:	movq	$stack_top, %rsp
	xorl	%ebp, %ebp
	call	main
	hlt
	.size start, . - start

	.bss
	.balign	16384
	.skip	16384
stack_top:
	.section .note.GNU-stack, "", @progbits
