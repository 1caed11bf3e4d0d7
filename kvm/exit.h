/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exit: why a vCPU cannot go on, as one line for a person. On the vCPU's thread, or when it is out
 * of KVM_RUN.
 */
#pragma once

#include <linux/kvm.h>
#include <stddef.h>

#include "lkvm/vm.h"

enum vm_end exit_explain(int vcpu_fd, const struct kvm_run *run, char *text, size_t len);
/* KVM_RUN itself failed with err. */
void exit_explain_error(int vcpu_fd, int err, char *text, size_t len);
