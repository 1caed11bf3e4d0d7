// SPDX-License-Identifier: GPL-2.0-only
/*
 * exit: why a vCPU cannot go on, as one line for a person.
 *
 * Runs on: the vCPU's own thread
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/exit.h"

#define RESET_RIP 0xfff0 /* where a processor starts */

/* Appends; what does not fit is cut. */
__attribute__((format(printf, 3, 4))) static void add(char *text, size_t len, const char *fmt, ...)
{
	size_t at = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	if (at < len)
		vsnprintf(text + at, len - at, fmt, ap);
	va_end(ap);
}

static void add_where(char *text, size_t len, int vcpu_fd)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(vcpu_fd, KVM_GET_REGS, &regs) < 0 || ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return;
	/* After a triple fault KVM on AMD has reset the vCPU; where it was is gone. */
	if (regs.rip == RESET_RIP && sregs.cs.base == 0xffff0000)
		return;
	add(text, len, " at rip %#llx (cs %#x, cr0 %#llx, cr2 %#llx, cr3 %#llx, cr4 %#llx)",
	    regs.rip, sregs.cs.selector, sregs.cr0, sregs.cr2, sregs.cr3, sregs.cr4);
}

static void add_internal(char *text, size_t len, const struct kvm_run *run)
{
	static const char *const names[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "an instruction it can't emulate",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "an event it can't deliver",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit it doesn't know",
	};
	uint32_t sub = run->internal.suberror;
	unsigned i, n;

	add(text, len, "KVM internal error, suberror %u", sub);
	if (sub < sizeof(names) / sizeof(names[0]) && names[sub])
		add(text, len, " (%s)", names[sub]);
	if (sub != KVM_INTERNAL_ERROR_EMULATION || run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	n = run->emulation_failure.insn_size;
	if (n > sizeof(run->emulation_failure.insn_bytes))
		n = sizeof(run->emulation_failure.insn_bytes);
	for (i = 0; i < n; i++)
		add(text, len, "%s%02x", i ? " " : ", bytes ",
		    run->emulation_failure.insn_bytes[i]);
}

static enum vm_end system_event(const struct kvm_run *run, char *text, size_t len)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		add(text, len, "system event: shutdown");
		return VM_END_SYSTEM_OFF;
	case KVM_SYSTEM_EVENT_RESET:
		add(text, len, "system event: reset");
		return VM_END_SYSTEM_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		add(text, len, "system event: crash");
		return VM_END_SYSTEM_CRASH;
	default:
		add(text, len, "system event %u, which lkvm doesn't know", run->system_event.type);
		return VM_END_INTERNAL;
	}
}

enum vm_end exit_explain(int vcpu_fd, const struct kvm_run *run, char *text, size_t len)
{
	enum vm_end why = VM_END_INTERNAL;

	text[0] = '\0';
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		add(text, len, "triple fault");
		why = VM_END_TRIPLE_FAULT;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		return system_event(run, text, len);
	case KVM_EXIT_INTERNAL_ERROR:
		add_internal(text, len, run);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		add(text, len, "the processor refused to enter the guest, reason %#llx",
		    run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		add(text, len, "KVM exit %u, which lkvm doesn't know", run->exit_reason);
		break;
	}
	add_where(text, len, vcpu_fd);
	return why;
}

void exit_explain_error(int vcpu_fd, int err, char *text, size_t len)
{
	text[0] = '\0';
	add(text, len, "KVM_RUN failed: %s", strerror(err));
	add_where(text, len, vcpu_fd);
}
