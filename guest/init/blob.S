/* SPDX-License-Identifier: GPL-2.0-only */
/* blob: the guest's first process as bytes in lkvm; include/lkvm/initramfs.h declares them. */
	.section .rodata
	.globl guest_init, guest_init_len
	.balign 16
guest_init:
	.incbin GUEST_INIT
1:	.balign 4
guest_init_len:
	.long 1b - guest_init
	.section .note.GNU-stack, "", @progbits
