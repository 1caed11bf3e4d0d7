# SPDX-License-Identifier: GPL-2.0-only
# The suite runs the bare-metal guest, so the guest is built first.
check: probe
check-probe: probe
