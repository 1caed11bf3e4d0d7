/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * setup: the real-mode part of a bzImage. Loaders that know the 64-bit protocol only read the
 * header; others (a BIOS, kvmtool) enter at 0x200 in real mode, where the memory map is asked for
 * and protected mode switched on. The memory this file is loaded to then serves as boot_params.
 */
	.code16
	.section .setup, "ax"

	.org	0x1f1
	.byte	7			/* setup_sects: 4 KiB with the first one */
	.word	0			/* root_flags */
	.long	(PAYLOAD + 15) / 16	/* syssize */
	.word	0, 0, 0			/* ram_size, vid_mode, root_dev */
	.word	0xaa55
	.byte	0xeb, 0x6a		/* jump to 0x26c */
	.ascii	"HdrS"
	.word	0x020c			/* protocol 2.12 */
	.long	0			/* realmode_swtch */
	.word	0, 0			/* start_sys_seg, kernel_version */
	.byte	0, 1			/* type_of_loader, loadflags: LOADED_HIGH */
	.word	0			/* setup_move_size */
	.long	0x100000		/* code32_start */
	.long	0, 0			/* ramdisk */
	.long	0			/* bootsect_kludge */
	.word	0xe000			/* heap_end_ptr */
	.byte	0, 0
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x100000		/* kernel_alignment */
	.byte	0, 20			/* relocatable_kernel, min_alignment */
	.word	1			/* xloadflags: a 64-bit entry at 0x200 */
	.long	2047			/* cmdline_size */
	.long	0			/* hardware_subarch */
	.quad	0
	.long	0, 0			/* payload */
	.quad	0			/* setup_data */
	.quad	0x100000		/* pref_address */
	.long	0x800000		/* init_size */
	.long	0			/* handover_offset */

	.org	0x26c
	jmp	real_mode

	.org	0xd00			/* behind boot_params' memory map */
real_mode:
	cli
	cld
	call	0f			/* the protocol's cs is 0x20 above us, kvmtool's is ours */
0:	popw	%bx
	subw	$0b, %bx
	sarw	$4, %bx
	movw	%cs, %ax
	addw	%bx, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0xe000, %sp
	inb	$0x92, %al		/* A20 */
	orb	$2, %al
	outb	%al, $0x92

	movw	$0x2d0, %di		/* boot_params.e820_table */
	xorl	%ebx, %ebx
0:	movl	$0xe820, %eax
	movl	$0x534d4150, %edx	/* "SMAP" */
	movl	$20, %ecx
	int	$0x15
	jc	1f
	cmpl	$0x534d4150, %eax
	jne	1f
	addw	$20, %di
	incb	0x1e8			/* boot_params.e820_entries */
	cmpb	$100, 0x1e8
	jae	1f
	testl	%ebx, %ebx
	jnz	0b
1:	cli
	xorl	%esi, %esi
	movw	%ds, %si
	shll	$4, %esi		/* boot_params */
	leal	gdt(%esi), %eax
	movl	%eax, gdt_ptr + 2
	lgdtl	gdt_ptr
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	movw	$0x18, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	ljmpl	$0x10, $0x100000

	.balign	8
gdt:	.quad	0, 0
	.quad	0x00cf9a000000ffff	/* 0x10 code, 32 bit */
	.quad	0x00cf92000000ffff	/* 0x18 data */
gdt_ptr:
	.word	31
	.long	0

	.org	0x1000
	.section .note.GNU-stack, "", @progbits
