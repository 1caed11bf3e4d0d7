# SPDX-License-Identifier: GPL-2.0-only
"""What is counted of a VMM from outside: system calls and exits by perf's tracepoints, CPU time of
its threads by schedstat, memory by smaps."""
import ctypes
import os
import re
import struct
import threading
import time

PERF_EVENT_OPEN = 298
TRACEPOINT = 2
INHERIT = 1 << 1
SET_FILTER = 0x40082406
ENABLE, DISABLE = 0x2400, 0x2401
TRACEFS = ('/sys/kernel/tracing', '/sys/kernel/debug/tracing')

# The system calls that a data path may make.
CALLS = {'read': 0, 'write': 1, 'poll': 7, 'ioctl': 16, 'pread64': 17, 'pwrite64': 18, 'readv': 19,
         'writev': 20, 'sendmsg': 46, 'futex': 202, 'io_getevents': 208, 'io_submit': 209,
         'epoll_wait': 232, 'epoll_ctl': 233, 'ppoll': 271, 'epoll_pwait': 281, 'preadv': 295,
         'pwritev': 296, 'io_uring_enter': 426}

libc = ctypes.CDLL(None, use_errno=True)


class Counter:
    """A tracepoint in a process and in all threads that it starts later."""

    def __init__(self, pid, event, keep=None):
        for top in TRACEFS:
            path = f'{top}/events/{event}/id'
            if os.path.exists(path):
                break
        with open(path) as f:
            number = int(f.read())
        attr = struct.pack('=IIQQQQQ', TRACEPOINT, 112, number, 0, 0, 0, INHERIT).ljust(112, b'\0')
        self.fd = libc.syscall(PERF_EVENT_OPEN, attr, pid, -1, -1, 8)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), f'cannot count {event}')
        if keep and libc.ioctl(self.fd, ctypes.c_ulong(SET_FILTER), ctypes.c_char_p(keep.encode())):
            raise OSError(ctypes.get_errno(), f'cannot filter {event}')

    def read(self):
        return struct.unpack('=Q', os.read(self.fd, 8))[0]

    def close(self):
        os.close(self.fd)


class Counters:
    """All that is counted of a process; made before it execs."""

    def __init__(self, pid, detail=False):
        self.counter = {}
        try:
            self.counter['exits'] = Counter(pid, 'kvm/kvm_userspace_exit')
            self.counter['calls'] = Counter(pid, 'raw_syscalls/sys_enter')
            if detail:
                for name, number in CALLS.items():
                    self.counter[name] = Counter(pid, 'raw_syscalls/sys_enter', f'id=={number}')
        except OSError as e:
            self.why_not = str(e)
            self.close()

    def switch(self, on):
        """Counting costs CPU time, so that is measured with all this off."""
        for c in self.counter.values():
            libc.ioctl(c.fd, ctypes.c_ulong(ENABLE if on else DISABLE), 0)

    def read(self):
        return {name: c.read() for name, c in self.counter.items()}

    def close(self):
        for c in self.counter.values():
            c.close()
        self.counter = {}


def vhost_threads(pid):
    """Those that work for pid in the kernel; since Linux 6.4 they are among its own."""
    found = []
    for other in os.listdir('/proc'):
        try:
            with open(f'/proc/{other}/comm') as f:
                if other.isdigit() and f.read() == f'vhost-{pid}\n':
                    found.append(int(other))
        except OSError:
            pass
    return found


def cpu(pid, helpers=()):
    """Nanoseconds on a CPU of all threads, ended ones too, but the vCPUs', whose time is the guest's."""
    total = time.clock_gettime_ns(~pid << 3 | 2)  # the kernel's number for that process's CPU clock
    for helper in helpers:
        with open(f'/proc/{helper}/schedstat') as f:
            total += int(f.read().split()[0])
    for tid in os.listdir(f'/proc/{pid}/task'):
        try:
            with open(f'/proc/{pid}/task/{tid}/comm') as f:
                if not re.search('cpu', f.read(), re.I):
                    continue
            with open(f'/proc/{pid}/task/{tid}/schedstat') as f:
                total -= int(f.read().split()[0])
        except FileNotFoundError:
            pass  # a thread that has just ended
    return total


def memory(pid, guest):
    """(all, anonymous) KiB that are resident and are no guest RAM: the guest's mappings are those of
    100 MiB and more, which nothing else has."""
    rss = anon = 0
    size = 0
    assert guest >= 100
    with open(f'/proc/{pid}/smaps') as f:
        for line in f:
            key, _, rest = line.partition(':')
            if key == 'Size':
                size = int(rest.split()[0])
            elif key == 'Rss' and size < 100 * 1024:
                rss += int(rest.split()[0])
            elif key == 'Anonymous' and size < 100 * 1024:
                anon += int(rest.split()[0])
    return rss, anon


class Peak(threading.Thread):
    """The most that is resident without guest RAM, looked at as often as can be."""

    def __init__(self, pid, guest):
        super().__init__(daemon=True)
        self.pid, self.guest, self.stop, self.most = pid, guest, False, 0
        self.us = os.readlink('/proc/self/exe')

    def run(self):
        while not self.stop:
            try:
                if os.readlink(f'/proc/{self.pid}/exe') != self.us:  # it has not been exec'd yet
                    self.most = max(self.most, memory(self.pid, self.guest)[0])
            except OSError:
                pass

    def end(self):
        self.stop = True
        self.join()
