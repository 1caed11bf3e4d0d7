/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stop: a guest whose first instructions write one character to the serial port and end the machine,
 * so that what is measured is the VMM alone. PVH ELF; with -DREAL the real-mode part of a bzImage.
 */
	.macro	stop
	movw	$0x3f8, %dx
	movb	$'!', %al
	outb	%al, %dx
	movw	$0x501, %dx			/* isa-debug-exit */
	movb	$0, %al
	outb	%al, %dx
	movb	$0xfe, %al			/* the i8042's reset line */
	outb	%al, $0x64
0:	jmp	0b
	.endm

#ifdef REAL
	.code16
	.section .setup, "ax"
	.org	0x1f1
	.byte	7				/* setup_sects */
	.word	0
	.long	1				/* syssize, in 16 bytes */
	.word	0, 0, 0
	.word	0xaa55
	.byte	0xeb, 0x6a			/* jump to 0x26c */
	.ascii	"HdrS"
	.word	0x020c
	.long	0
	.word	0, 0
	.byte	0, 1				/* LOADED_HIGH */
	.word	0
	.long	0x100000
	.org	0x26c
	stop
	.org	0x1010				/* setup, and a kernel that nobody enters */
#else
	.code32
	.section .boot, "ax"
	.globl	start64
start64:
	stop
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	start64
#endif
	.section .note.GNU-stack, "", @progbits
