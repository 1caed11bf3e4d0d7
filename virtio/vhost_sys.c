// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_sys: the two system calls behind vhost.c, apart from it so that tests can stand in for them.
 *
 * Runs on: main (open), loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "virtio/vhost.h"

int vhost_sys_open(void)
{
	int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int vhost_sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}
