/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * acpi: what the two files that make the tables share.
 */
#pragma once

#include "kvm/aml.h"
#include "lkvm/boot.h"

void dsdt_write(struct aml *a, const struct boot_conf *conf);

/* The one rule for INTx: pins are swizzled, neighbours don't share a line. pin 0 is INTA. */
static inline unsigned acpi_intx_gsi(const struct pci_windows *w, unsigned slot, unsigned pin)
{
	return w->intx_gsi[(slot + pin) % 4];
}
