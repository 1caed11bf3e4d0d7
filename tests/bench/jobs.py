# SPDX-License-Identifier: GPL-2.0-only
"""What a request costs: the same jobs for guests on each VMM, and for no guest at all (the floor),
in turns."""
import fnmatch
import json
import socket
import statistics
import subprocess
import sys
import threading
import time

import counters
import vmm

# name, command to the guest, how many requests
CASES = [
    ('blk-read-4k-d1', 'b 0 1 4096 %d', 1000),
    ('blk-read-4k-d32', 'b 0 32 4096 %d', 6400),
    ('blk-read-4k-d128', 'b 0 128 4096 %d', 6400),
    ('blk-write-4k-d1', 'b 1 1 4096 %d', 1000),
    ('blk-write-4k-d32', 'b 1 32 4096 %d', 6400),
    ('blk-write-4k-d128', 'b 1 128 4096 %d', 6400),
    ('blk-read-128k-seq', 'b 0 8 131072 %d', 1600),
    ('blk-write-128k-seq', 'b 1 8 131072 %d', 1600),
    ('net-out-64', 't 64 64 %d', 6400),
    ('net-out-1500', 't 1514 64 %d', 6400),
    ('net-out-64k', 't 65226 8 %d', 800),
    ('net-in-64', 'r 64 128 %d', 4000),
    ('net-in-1500', 'r 1514 128 %d', 4000),
    ('net-in-64k', 'r 65226 128 %d', 800),
    ('serial-byte', 's %d', 2000),
]
# Told to a guest that has a virtio console instead of the serial port. QEMU drops what its terminal has
# no room for: it must be less than 64 KiB.
CONSOLE_CASES = [
    ('console-16', 'c 16 %d', 2000),
]
MEM = 128
SOL_PACKET, PACKET_VNET_HDR = 263, 15


def frame(size):
    """One for everybody; above 1514 bytes a whole TCP segment, with the header that says so."""
    if size <= 1514:
        return bytes.fromhex('ffffffffffff02000000000888b5').ljust(size, b'\0')
    ip = b'\x45\0' + (size - 14).to_bytes(2, 'big') + bytes.fromhex('0000400040060000' '0a090807' '0a090806')
    tcp = bytes.fromhex('12345678' '00000000' '00000000' '5010' '1000' '0000' '0000')
    head = bytes((1, 1)) + b''.join(n.to_bytes(2, 'little') for n in (54, 1448, 34, 16))
    return head + (bytes.fromhex('ffffffffffff0200000000080800') + ip + tcp).ljust(size, b'\0')


class Sender(threading.Thread):
    """Packets into a tap until told to stop, as fast as it can."""

    def __init__(self, tap, size):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        if size > 1514:
            self.sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.sock.bind((tap, 0x800 if size > 1514 else 0x88b5))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.stop = False
        self.packet = frame(size)

    def run(self):
        while not self.stop:
            try:
                self.sock.send(self.packet)
            except OSError:
                time.sleep(0.0002)  # the queue is full

    def end(self):
        self.stop = True
        self.join()
        self.sock.close()


class Guest:
    """A VMM that runs guest/bench."""

    def __init__(self, make, path, disk, tap, queues, console):
        self.v = vmm.Vmm(make(path, 'bench', MEM, disk, tap, queues, console), detail=True)
        self.tap = tap
        self.v.wait_for(b'hello')
        self.helpers = counters.vhost_threads(self.v.pid)
        self.at_start = counters.memory(self.v.pid, MEM)
        self.most = self.at_start[0]
        self.v.freeze()
        self.idle = self.converse('n 0')

    def converse(self, command):
        """One job: what the guest says, and what was counted from outside meanwhile."""
        v = self.v
        v.thaw()
        v.say(command.encode() + b'\n')
        v.wait_for(b'ready')
        sender = Sender(self.tap, int(command.split()[1])) if command[0] == 'r' else None
        before, cpu = v.look(lambda: (v.counters.read(), counters.cpu(v.pid, self.helpers)))
        if sender:
            sender.start()
        v.say(b'g')
        v.wait_for(b'!')
        after, cpu_after = v.look(lambda: (v.counters.read(), counters.cpu(v.pid, self.helpers)))
        cpu = cpu_after - cpu
        if sender:
            sender.end()
        v.say(b'g')
        v.wait_for(b'ok ')
        words = v.wait_for(b'\n').split()
        v.freeze()
        self.most = max(self.most, counters.memory(v.pid, MEM)[0])
        done, bells, irqs, us = (int(w) for w in words[:4])
        r = {'n': done, 'doorbells': bells, 'interrupts': irqs, 'us': us, 'cpu_ns': cpu}
        r.update({k: after[k] - before[k] for k in after})
        return r

    def timed(self, command):
        r = self.converse(command)
        return {'per_second': r['n'] / r['us'] * 1e6, 'vmm_cpu_ns': r['cpu_ns'] / r['n']}

    def counted(self, command):
        """Counting costs CPU time: a job of its own."""
        self.v.counters.switch(True)
        r = self.converse(command)
        self.v.counters.switch(False)
        n, idle = r['n'], self.idle
        out = {'doorbells': r['doorbells'] / n, 'interrupts': r['interrupts'] / n, 'by_call': {}}
        if 'exits' in r:
            # The conversation has exits of its own; what KVM_RUN is called for is counted as exits only.
            exits = max(0, r['exits'] - idle['exits'])
            calls = max(0, r['calls'] - idle['calls'])
            out['exits'] = exits / n
            out['system_calls'] = max(0, calls - exits) / n
            out['by_call'] = {k: max(0, r[k] - idle[k]) / n for k in counters.CALLS
                              if r.get(k, 0) - idle.get(k, 0) > n / 1000}
            out['by_call'].pop('ioctl', None)
        return out


class Floor:
    """The same I/O by the host itself."""

    def __init__(self, disk, tap, how=''):
        self.disk, self.tap, self.how = disk, tap, how

    def takes(self, command):
        words = command.split()
        return words[0] in ('t' if self.how else 'btr') and (words[0] == 'b' or self.tap)

    def run(self, command):
        words = command.split()
        sender = None
        if words[0] == 'b':
            what = [self.disk, *words[1:]]
        else:
            what = [f'tap:{self.tap}', self.how or {'t': 'writev', 'r': 'readv'}[words[0]], *words[2:0:-1], words[3]]
        if words[0] == 'r':
            sender = Sender(self.tap, int(words[1]))
        p = subprocess.Popen([f'{vmm.O}/tests/bench/floor', *what], stdout=subprocess.PIPE)
        if sender:
            sender.start()
        out, _ = p.communicate(timeout=90)
        if sender:
            sender.end()
        if p.returncode:
            raise RuntimeError(f'floor {" ".join(what)}: status {p.returncode}')
        return json.loads(out)

    def timed(self, command):
        r = self.run(command)
        return {k: r[k] for k in ('per_second', 'vmm_cpu_ns')}

    def counted(self, command):
        calls = self.run(command)['system_calls']
        return {'doorbells': 0, 'interrupts': 0, 'exits': 0, 'system_calls': calls, 'by_call': {}}


def contenders(args, console):
    all_ = {}
    for i, (name, (make, path)) in enumerate(vmm.programs().items()):
        disk = tap = None
        if console == 'serial':
            disk, tap = f'{args.dir}/{name}.img', f'bench{i}' if args.tap else None
            vmm.make_disk(disk, args.piece)
        if tap:
            vmm.sh(f'ip tuntap add {tap} mode tap vnet_hdr && ip link set {tap} up')
        try:
            all_[name] = Guest(make, path, disk, tap, args.queues, console)
        except (RuntimeError, OSError) as e:
            print(f'{name} takes no part: {e}', flush=True)
    tap = 'benchf' if args.tap else None
    all_['floor'] = Floor(args.disk, tap)
    for how in ('io_submit', 'io_uring') if args.batches else ():
        all_[how] = Floor(args.disk, tap, how)
    return all_


def run_case(args, case, command, running):
    """Rounds in turns; the first one is for the counts alone."""
    counts, rows = {}, {}
    for round_ in range(args.rounds + 1):
        for name, c in list(running.items()):
            if (isinstance(c, Floor) and not c.takes(command)) or (round_ and name not in rows):
                continue
            try:
                if round_:
                    rows[name].append(c.timed(command))
                else:
                    counts[name] = c.counted(command)
                    rows[name] = []
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
                print(f'{case:20} {name:9} goes no further: {e}', flush=True)
                rows.pop(name, None)
                if isinstance(c, Guest):
                    running.pop(name).v.kill()
    rows = {name: r for name, r in rows.items() if r}
    by_name = {name: {**counts[name], **summary(r)} for name, r in rows.items()}
    show(case, by_name, rows)
    return by_name


def run(args, result):
    print(f'{"per request":20} {"":9} {"/s":>9} {"exits":>6} {"bells":>6} {"irqs":>6} {"calls":>6} {"cpu ns":>8} '
          f'{"least":>8} {"lkvm/it":17} {"least":>5} by call', flush=True)
    for console, cases in (('serial', CASES), ('virtio', CONSOLE_CASES)):
        cases = [c for c in cases if fnmatch.fnmatch(c[0], args.only) and (args.tap or not c[0].startswith('net'))]
        running = contenders(args, console) if cases else {}
        for case, command, n in cases:
            result['requests'][case] = run_case(args, case, command % max(1, int(n * args.scale)), running)
        for name, c in running.items():
            if not isinstance(c, Guest):
                continue
            c.v.kill()
            if console == 'serial':
                result['memory'][name] = {'at_start_kib': c.at_start, 'most_kib': c.most}
                print(f'memory {name}: {c.at_start[0]} KiB resident without guest RAM at the start, '
                      f'{c.at_start[1]} of it anonymous; {c.most} at most between jobs', flush=True)


def summary(rows):
    out = {k: statistics.median(r[k] for r in rows) for k in rows[0]}
    out['cpu_spread'] = [min(r['vmm_cpu_ns'] for r in rows), max(r['vmm_cpu_ns'] for r in rows)]
    return out


def show(case, by_name, rows):
    for name, r in by_name.items():
        ratio = least = ''
        if name != 'lkvm' and 'lkvm' in rows:
            each = sorted(a['vmm_cpu_ns'] / max(1, b['vmm_cpu_ns']) for a, b in zip(rows['lkvm'], rows[name]))
            ratio = f'{statistics.median(each):.2f} ({each[0]:.2f}-{each[-1]:.2f})'
            r['lkvm_cpu_ratio'] = [each[0], statistics.median(each), each[-1]]
            # What others do to the machine only adds: the least of all rounds is the nearest to the truth.
            r['lkvm_least_ratio'] = by_name['lkvm']['cpu_spread'][0] / max(1, r['cpu_spread'][0])
            least = f'{r["lkvm_least_ratio"]:.2f}'
        calls = ' '.join(f'{k}:{v:.2f}' for k, v in sorted((r['by_call'] or {}).items(), key=lambda x: -x[1])[:6])
        print(f'{case:20} {name:9} {r["per_second"]:9.0f} {r.get("exits", -1):6.2f} {r["doorbells"]:6.2f} '
              f'{r["interrupts"]:6.2f} {r.get("system_calls", -1):6.2f} {r["vmm_cpu_ns"]:8.0f} '
              f'{r["cpu_spread"][0]:8.0f} {ratio:17} {least:>5} {calls}', flush=True)
