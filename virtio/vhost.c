// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost: the kernel's vhost-net, ioctl by ioctl.
 *
 * The kernel looks every address in a ring up in the table of RAM that it was given, but takes the
 * places of the ring itself as pointers of ours: so those are checked here.
 *
 * Runs on: main (open), loop.
 */
#include "virtio/vhost.h"

#include <errno.h>
#include <linux/vhost.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "virtio/virtq_ring.h"

#define PATH "/dev/vhost-net"

static void explain(const char *name, int err)
{
	if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		log_err(name, "cannot open " PATH ": %s. Fix: sudo modprobe vhost_net, or leave out vhost=on",
			strerror(-err));
	else if (err == -EACCES || err == -EPERM)
		log_err(name, "cannot open " PATH ": %s. Fix: sudo chmod 666 " PATH
			", or leave out vhost=on", strerror(-err));
	else
		log_err(name, "cannot open " PATH ": %s", strerror(-err));
}

static int set_memory(struct vhost *v, const struct gmem *mem)
{
	union {
		struct vhost_memory table;
		uint8_t room[sizeof(struct vhost_memory) +
			     GMEM_REGIONS * sizeof(struct vhost_memory_region)];
	} memory = { .table.nregions = mem->n };

	for (unsigned i = 0; i < mem->n; i++)
		memory.table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = mem->region[i].gpa,
			.memory_size = mem->region[i].len,
			.userspace_addr = (uintptr_t)mem->region[i].hva,
		};
	return vhost_sys_ioctl(v->fd, VHOST_SET_MEM_TABLE, &memory);
}

int vhost_open(struct vhost *v, const char *name, const struct gmem *mem)
{
	uint64_t features = 0;
	int err;

	v->fd = vhost_sys_open();
	if (v->fd < 0) {
		err = v->fd;
		v->fd = -1;
		explain(name, err);
		return err;
	}
	/* The kernel's thread works in the address space of the process that does this. */
	err = vhost_sys_ioctl(v->fd, VHOST_SET_OWNER, NULL);
	if (!err)
		err = vhost_sys_ioctl(v->fd, VHOST_GET_FEATURES, &features);
	if (!err)
		err = set_memory(v, mem);
	if (err) {
		log_err(name, "cannot set up vhost-net: %s", strerror(-err));
		vhost_close(v);
		return err;
	}
	v->features = features;
	return 0;
}

void vhost_close(struct vhost *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

int vhost_set_features(struct vhost *v, uint64_t features)
{
	return vhost_sys_ioctl(v->fd, VHOST_SET_FEATURES, &features);
}

/* --- rings ------------------------------------------------------------------------------------ */

static int ring_state(struct vhost *v, unsigned ring, unsigned long request, unsigned num)
{
	struct vhost_vring_state state = { .index = ring, .num = num };

	return vhost_sys_ioctl(v->fd, request, &state);
}

static int ring_file(struct vhost *v, unsigned ring, unsigned long request, int fd)
{
	struct vhost_vring_file file = { .index = ring, .fd = fd };

	return vhost_sys_ioctl(v->fd, request, &file);
}

static int ring_place(struct vhost *v, unsigned ring, const struct split_areas *areas)
{
	struct vhost_vring_addr addr = {
		.index = ring,
		.desc_user_addr = (uintptr_t)areas->desc,
		.avail_user_addr = (uintptr_t)areas->avail,
		.used_user_addr = (uintptr_t)areas->used,
	};

	return vhost_sys_ioctl(v->fd, VHOST_SET_VRING_ADDR, &addr);
}

int vhost_ring_start(struct vhost *v, unsigned ring, const struct gmem *mem,
		     const struct virtq_conf *conf, int kick_fd, int call_fd, int err_fd)
{
	struct split_areas areas;
	int err;

	if (conf->packed || split_locate(mem, conf, &areas))
		return -EINVAL;
	err = ring_state(v, ring, VHOST_SET_VRING_NUM, conf->size);
	if (!err)
		err = ring_state(v, ring, VHOST_SET_VRING_BASE, 0);
	if (!err)
		err = ring_place(v, ring, &areas);
	if (!err)
		err = ring_file(v, ring, VHOST_SET_VRING_ERR, err_fd);
	if (!err)
		err = ring_file(v, ring, VHOST_SET_VRING_CALL, call_fd);
	if (!err)
		err = ring_file(v, ring, VHOST_SET_VRING_KICK, kick_fd);
	return err;
}

int vhost_ring_attach(struct vhost *v, unsigned ring, int tap_fd)
{
	return ring_file(v, ring, VHOST_NET_SET_BACKEND, tap_fd);
}

int vhost_ring_detach(struct vhost *v, unsigned ring)
{
	return ring_file(v, ring, VHOST_NET_SET_BACKEND, VHOST_FILE_UNBIND);
}

int vhost_ring_call(struct vhost *v, unsigned ring, int call_fd)
{
	return ring_file(v, ring, VHOST_SET_VRING_CALL, call_fd);
}

int vhost_ring_stop(struct vhost *v, unsigned ring)
{
	struct vhost_vring_state base = { .index = ring };
	int err = vhost_sys_ioctl(v->fd, VHOST_GET_VRING_BASE, &base);

	ring_file(v, ring, VHOST_SET_VRING_KICK, VHOST_FILE_UNBIND);
	ring_file(v, ring, VHOST_SET_VRING_CALL, VHOST_FILE_UNBIND);
	return err ? err : (int)(base.num & 0xffff);
}
