# SPDX-License-Identifier: GPL-2.0-only
# The suite runs the bare-metal guest, so the guest is built first.
check: probe
check-probe: probe

# Verdicts per requirement: lkvm's column from its own runs, QEMU's from the reference's.
.PHONY: conformance conformance-qemu
conformance: all probe
	$(Q)tests/probe/run > $(O)/probe.tap; tests/probe/conformance lkvm $(O)/probe.tap tests/conformance.tsv \
		> $(O)/conformance.tsv && mv $(O)/conformance.tsv tests/conformance.tsv
	$(Q)tests/probe/count lkvm
conformance-qemu: probe
	$(Q)tests/probe/reference > $(O)/probe-qemu.tap; tests/probe/conformance qemu $(O)/probe-qemu.tap \
		tests/conformance.tsv > $(O)/conformance.tsv && mv $(O)/conformance.tsv tests/conformance.tsv
	$(Q)tests/probe/count qemu

# Does the probe notice when lkvm is broken? Minutes.
.PHONY: mutate
mutate:
	$(Q)tests/probe/mutate
