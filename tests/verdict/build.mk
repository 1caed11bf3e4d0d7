# SPDX-License-Identifier: GPL-2.0-only
# The suite's guest.
check: ends
check-verdict: ends
