// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats: the numbers that KVM keeps of a VM and of each vCPU, as it describes them itself (Linux 5.14,
 * Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD): a header, a table of names, the numbers.
 *
 * Taken are the vCPUs' cumulative ones; the VM's own are about its memory.
 *
 * Runs on: main; stats_read on any thread
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm/tally.h"

#define STATS_MAX 128
#define DESC_MAX  1024

struct stat_at {
	char name[TALLY_NAME];
	uint32_t off;
};

struct stats {
	struct stat_at stat[STATS_MAX]; /* the same for every vCPU */
	unsigned n;
	uint32_t data;
	int fd[TALLY_CPUS];
	unsigned fds;
};

struct stats *stats_open(int vm_fd)
{
	int fd = ioctl(vm_fd, KVM_GET_STATS_FD, NULL);

	if (fd < 0)
		return NULL;
	close(fd);
	return calloc(1, sizeof(struct stats));
}

/* One description; it is wanted if it is a single number that only grows. */
static void learn(struct stats *s, const struct kvm_stats_desc *desc)
{
	struct stat_at *stat = &s->stat[s->n];

	if ((desc->flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE || desc->size != 1 ||
	    s->n == STATS_MAX)
		return;
	snprintf(stat->name, sizeof(stat->name), "%s", desc->name);
	stat->off = desc->offset;
	s->n++;
}

static int learn_all(struct stats *s, int fd)
{
	_Alignas(struct kvm_stats_desc) char room[DESC_MAX];
	struct kvm_stats_header head;
	size_t size;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -EPROTO;
	size = sizeof(struct kvm_stats_desc) + head.name_size;
	if (size >= sizeof(room))
		return -EPROTO;
	for (uint32_t i = 0; i < head.num_desc; i++) {
		memset(room, 0, sizeof(room));
		if (pread(fd, room, size, (off_t)(head.desc_offset + i * size)) != (ssize_t)size)
			return -EPROTO;
		learn(s, (const struct kvm_stats_desc *)room);
	}
	s->data = head.data_offset;
	return 0;
}

int stats_add(struct stats *s, int vcpu_fd)
{
	int fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL), err = 0;

	if (fd < 0)
		return -errno;
	if (!s->fds)
		err = learn_all(s, fd);
	if (err || s->fds == TALLY_CPUS) {
		close(fd);
		return err;
	}
	s->fd[s->fds++] = fd;
	return 0;
}

void stats_close(struct stats *s)
{
	for (unsigned i = 0; s && i < s->fds; i++)
		close(s->fd[i]);
	free(s);
}

unsigned stats_count(const struct stats *s)
{
	return s->n;
}

void stats_read(const struct stats *s, struct tally_number *number, unsigned at)
{
	for (unsigned i = 0; i < s->n; i++) {
		uint64_t sum = 0, val;

		for (unsigned k = 0; k < s->fds; k++)
			if (pread(s->fd[k], &val, sizeof(val), s->data + s->stat[i].off) == sizeof(val))
				sum += val;
		memcpy(number[i].name, s->stat[i].name, TALLY_NAME);
		number[i].count[at] = sum;
	}
}
