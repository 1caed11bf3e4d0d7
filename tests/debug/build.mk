# SPDX-License-Identifier: GPL-2.0-only
# The suite looks into a guest of its own.
check: debug-guest
check-debug: debug-guest
