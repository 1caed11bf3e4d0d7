/* SPDX-License-Identifier: GPL-2.0-only */
/* blob: the guest's first process as bytes in lkvm; include/lkvm/initramfs.h declares them. */
	.section .rodata
	.globl guest_init, guest_init_end
	.balign 16
guest_init:
	.incbin GUEST_INIT
guest_init_end:
	.section .note.GNU-stack, "", @progbits
