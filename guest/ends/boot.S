/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * boot: the Linux 64-bit entry (rsi = boot_params), page tables of our own so that every BAR below
 * 4 GiB is mapped, a stack, and ends_main(boot_params).
 */
	.section .boot, "ax"
	.globl start
start:
	cli
	cld
	lgdt	gdt_ptr
	movq	$pml4, %rax
	movq	%rax, %cr3
	movq	$stack_top, %rsp
	pushq	$8
	pushq	$reload
	lretq
reload:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	%rsi, %rdi
	call	ends_main
0:	jmp	0b

	.data
	.balign	8
gdt:	.quad	0
	.quad	0x00af9a000000ffff		/* 0x08 code, 64 bit */
	.quad	0x00cf92000000ffff		/* 0x10 data */
gdt_ptr:
	.word	. - gdt - 1
	.quad	gdt

	.balign	4096
pml4:	.quad	pdpt + 3
	.fill	511, 8, 0
pdpt:	.quad	pds + 0x0003, pds + 0x1003, pds + 0x2003, pds + 0x3003
	.fill	508, 8, 0
pds:	.set	page, 0
	.rept	2048
	.quad	(page << 21) | 0x83		/* present, writable, 2 MiB */
	.set	page, page + 1
	.endr

	.bss
	.balign	16
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
