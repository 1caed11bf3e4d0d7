// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two vCPUs, the device's loop and an interrupt controller at once on one function: registers and
 * resets here, MSI-X, INTx and BARs switched there, requests and configuration changes all the while.
 * What must not happen is a race (the build with the thread sanitizer tells), a hang, or a device
 * that does not work afterwards.
 */
#include "echo_device.h"
#include "lkvm/log.h"
#include "tap.h"

static atomic_bool stop;

static void *driver_vcpu(void *opaque)
{
	const uint64_t bar = 0xc0100000;
	unsigned *rounds = opaque, x = 1;

	while (!stop) {
		x = x * 1103515245 + 12345;
		/* The device lets go of the rings with the reset, not before. */
		bus_write(&p.mmio, bar + 0x14, 1, 0);
		clear_ring();
		bus_write(&p.mmio, bar + 0x14, 1, 3);
		bus_write(&p.mmio, bar + 0x08, 4, 1);
		bus_write(&p.mmio, bar + 0x0c, 4, 1);
		bus_write(&p.mmio, bar + 0x14, 1, 11);
		bus_write(&p.mmio, bar + 0x20, 8, RING);
		bus_write(&p.mmio, bar + 0x28, 8, AVAIL);
		bus_write(&p.mmio, bar + 0x30, 8, USED);
		bus_write(&p.mmio, bar + 0x10, 2, x >> 16 & 1);
		bus_write(&p.mmio, bar + 0x1a, 2, x >> 17 & 1);
		bus_write(&p.mmio, bar + 0x1c, 2, 1);
		bus_write(&p.mmio, bar + 0x14, 1, 15);
		for (unsigned i = 0; i < (x >> 20 & 3); i++) {
			offer((uint8_t)i, DATA + 1);
			bus_write(&p.mmio, bar + 0x4000, 2, 0);
			bus_read(&p.mmio, bar + 0x1000, 1);
			for (unsigned k = 0; k < 100 && get16(USED + 2) != avail_idx; k++)
				sched_yield();
			if (get16(USED + 2) != avail_idx)
				break; /* the descriptors are still the device's: a reset is next */
		}
		++*rounds;
	}
	return NULL;
}

static void *other_vcpu(void *opaque)
{
	unsigned *rounds = opaque, x = 7, cap = find_cap(&p, slot, 0x11) + 3;

	while (!stop) {
		x = x * 1103515245 + 12345;
		cfg_write(&p, slot, cap, 1, x >> 16 & 0xc0);
		cfg_write(&p, slot, 4, 2, 6 | (x >> 24 & 1) << 10 | (x >> 25 & 1));
		bus_write(&p.mmio, 0xc0200000 + 12 + (x >> 20 & 16), 4, x >> 26 & 1);
		cfg_read(&p, slot, 4, 4);
		if (!(x >> 28)) {
			cfg_write(&p, slot, 0x24, 4, 0x40);
			cfg_write(&p, slot, 0x24, 4, 0);
		}
		fake_pump(&p.intc);
		fake_eoi(&p.intc, pci_intx_gsi(&fake_windows, slot));
		++*rounds;
	}
	return NULL;
}

static void change_config(void *opaque)
{
	uint8_t val = (uint8_t)(uintptr_t)opaque;

	vdev_config_set(&echo->dev, 0, &val, 1, true);
}

static void test_all_at_once(void)
{
	unsigned rounds[2] = { 0 };
	pthread_t thread[2];

	pthread_create(&thread[0], NULL, driver_vcpu, &rounds[0]);
	pthread_create(&thread[1], NULL, other_vcpu, &rounds[1]);
	for (uintptr_t i = 0; i < 500; i++) {
		loop_call(p.loop, change_config, (void *)i);
		usleep(1000);
	}
	stop = true;
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	ok(rounds[0] > 1 && rounds[1] > 1, "both vCPUs came round (%u and %u times)", rounds[0],
	   rounds[1]);
	ok(echo->answered > 0, "and the device answered (%u times)", echo->answered);
}

static void test_still_works(void)
{
	cfg_write(&p, slot, 4, 2, 7);
	set_msix(0);
	stop = false;
	clear_ring();
	bus_write(&p.mmio, 0xc0100000 + 0x14, 1, 0);
	ok(!line(), "after a reset the line is down");
	bus_write(&p.mmio, 0xc0100000 + 0x14, 1, 3);
	bus_write(&p.mmio, 0xc0100000 + 0x08, 4, 1);
	bus_write(&p.mmio, 0xc0100000 + 0x0c, 4, 1);
	bus_write(&p.mmio, 0xc0100000 + 0x14, 1, 11);
	bus_write(&p.mmio, 0xc0100000 + 0x20, 8, RING);
	bus_write(&p.mmio, 0xc0100000 + 0x28, 8, AVAIL);
	bus_write(&p.mmio, 0xc0100000 + 0x30, 8, USED);
	bus_write(&p.mmio, 0xc0100000 + 0x1c, 2, 1);
	bus_write(&p.mmio, 0xc0100000 + 0x14, 1, 15);
	offer(41, DATA + 1);
	bus_write(&p.mmio, 0xc0100000 + 0x4000, 2, 0);
	ok(answered() && ram[DATA + 1] == 42, "and the device works");
	ok(pin_up(), "with its interrupt");
}

int main(void)
{
	log_set_level(LOG_ERR);
	mem.fd = -1;
	gmem_add(&mem, 0, ram, sizeof(ram));
	fake_pci_open(&p, NULL);
	open_echo(VIRTIO_MODERN);
	cfg_write(&p, slot, 0x14, 4, 0xc0200000);
	cfg_write(&p, slot, 0x20, 4, 0xc0100000);
	test_all_at_once();
	test_still_works();
	virtio_pci_close(vp);
	is(p.intc.opened + p.bells, 0, "nothing is left");
	fake_pci_close(&p);
	return tap_end();
}
