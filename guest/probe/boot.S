/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * boot: from any of three entries to main() in long mode, and the interrupt stubs.
 *
 *	start + 0	Linux 32-bit protocol, esi = boot_params (a bzImage's real-mode part jumps here)
 *	start + 0x200	Linux 64-bit protocol, rsi = boot_params
 *	start_pvh	PVH, 32-bit, ebx = hvm_start_info; found by the ELF note
 *
 * The page tables are laid out by the assembler, since building them takes thousands of steps that
 * an interpreting KVM would have to walk: 4 GiB identity-mapped in 2 MiB pages. What lies above is
 * mapped on demand by phys() in lib.c.
 */

#define BOOT_LINUX 1
#define BOOT_PVH   2

	.section .boot, "ax"
	.code32
	.globl start
start:
	movl	$BOOT_LINUX, %ebp
	jmp	from32

start_pvh:
	movl	$BOOT_PVH, %ebp
	movl	%ebx, %esi

from32:	cli
	cld
	lgdt	gdt_ptr
	movl	%cr4, %eax
	orl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax			/* EFER.LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax		/* PG, PE */
	movl	%eax, %cr0
	ljmp	$8, $long_mode

	.org	0x200
	.code64
	.globl start64
start64:
	cli
	cld
	movl	$BOOT_LINUX, %ebp
	lgdt	gdt_ptr
	movq	$pml4, %rax
	movq	%rax, %cr3
	movq	$stack_top, %rsp
	pushq	$8
	pushq	$long_mode
	lretq

long_mode:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	$stack_top, %rsp
	movl	$bss_start, %edi		/* a bzImage's loader clears nothing */
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	shrl	$3, %ecx
	xorl	%eax, %eax
	rep stosq
	movl	%ebp, %edi
	movl	%esi, %esi
	call	main
0:	jmp	0b

/* One stub of 16 bytes per vector, so that the IDT can be filled by arithmetic. */
	.text
	.balign	16
	.globl isr_stubs
isr_stubs:
	.set	vec, 0
	.rept	256
	.balign	16
	.if	!(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21)
	pushq	$0
	.endif
	pushq	$vec
	jmp	isr_common
	.set	vec, vec + 1
	.endr

isr_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	isr
	movq	%rbx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

/* int mark_set(struct mark *): 0 at first, what mark_jump was given when it comes back. */
	.globl mark_set
mark_set:
	movq	(%rsp), %rax
	movq	%rax, 0(%rdi)
	leaq	8(%rsp), %rax
	movq	%rax, 8(%rdi)
	movq	%rbx, 16(%rdi)
	movq	%rbp, 24(%rdi)
	movq	%r12, 32(%rdi)
	movq	%r13, 40(%rdi)
	movq	%r14, 48(%rdi)
	movq	%r15, 56(%rdi)
	xorl	%eax, %eax
	ret

/* void mark_jump(struct mark *, int value): also out of an exception, hence the sti. */
	.globl mark_jump
mark_jump:
	movl	%esi, %eax
	movq	16(%rdi), %rbx
	movq	24(%rdi), %rbp
	movq	32(%rdi), %r12
	movq	40(%rdi), %r13
	movq	48(%rdi), %r14
	movq	56(%rdi), %r15
	movq	8(%rdi), %rsp
	sti
	jmp	*0(%rdi)

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
	.globl pdpt
pdpt:	.quad	pds + 0x0003, pds + 0x1003, pds + 0x2003, pds + 0x3003
	.fill	508, 8, 0
pds:	.set	page, 0
	.rept	2048
	.quad	(page << 21) | 0x83		/* present, writable, 2 MiB */
	.set	page, page + 1
	.endr

	.section .noinit, "aw", @nobits
	.balign	16
	.skip	32768
stack_top:

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18			/* namesz, descsz, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	start_pvh

	.section .note.GNU-stack, "", @progbits
