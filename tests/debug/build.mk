# SPDX-License-Identifier: GPL-2.0-only
# The suite looks into a guest of its own, and into one that ends as it is told.
check: debug-guest ends
check-debug: debug-guest ends
