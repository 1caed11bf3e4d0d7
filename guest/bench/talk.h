/* SPDX-License-Identifier: GPL-2.0-only */
/* talk: the conversation's bytes: the serial port's, or those of a virtio console when there is one. */
#pragma once

#include "../probe/drivers.h"

void talk_open(void);
u8 talk_get(void); /* waits */

/* Sends a buffer as Linux's hvc does: waits until it is used. Without a virtio console it fails. */
void talk_send(const void *bytes, u32 len);
u32 talk_irqs(void); /* for what was sent, since the start */
