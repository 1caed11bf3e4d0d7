/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exits: `--debug-exits`: what the guest left KVM for, as a table on stderr and in the result file.
 *
 * Runs on: main, once the vCPUs have stopped
 */
#pragma once

struct result;
struct vm;

void exits_report(struct vm *vm, struct result *result); /* result: NULL when there is none */
