// SPDX-License-Identifier: GPL-2.0-only
/* hide_cap: between lkvm and KVM, a library that says that there is no KVM_CAP_IRQFD. */
#include <linux/kvm.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	if (request == KVM_CHECK_EXTENSION && arg == KVM_CAP_IRQFD)
		return 0;
	return (int)syscall(SYS_ioctl, fd, request, arg);
}
