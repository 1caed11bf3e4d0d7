#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""bench: what a VMM does for each request, and at its start. See docs/performance.md.

    make bench                          # everything
    tests/bench/run.py --only blk       # some cases
    LKVM_BENCH_KVMTOOL=path make bench  # with a peer; also LKVM_BENCH_QEMU=, LKVM_BENCH_OTHER= (an lkvm)
"""
import argparse
import fnmatch
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

import counters
import vmm

# name, command to the guest, what is a request
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
    ('serial-byte', 's %d', 2000),
]
DISK_MIB = 64
MEM = 128


class Sender(threading.Thread):
    """Packets into a tap until told to stop, as fast as it can."""

    def __init__(self, tap, size):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.bind((tap, 0x88b5))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.stop = False
        self.packet = bytes.fromhex('ffffffffffff02000000000888b5').ljust(size, b'\0')

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


def converse(v, command, tap=None):
    """One job: what the guest says, and what was counted from outside meanwhile."""
    v.thaw()
    v.say(command.encode() + b'\n')
    v.wait_for(b'ready')
    sender = Sender(tap, int(command.split()[1])) if command[0] == 'r' else None
    before, cpu = (v.counters.read() if v.counters else {}), counters.cpu(v.pid)
    if sender:
        sender.start()
    v.say(b'g')
    v.wait_for(b'!')
    cpu = counters.cpu(v.pid) - cpu
    after = v.counters.read() if v.counters else {}
    if sender:
        sender.end()
    v.say(b'g')
    v.wait_for(b'ok ')
    words = v.wait_for(b'\n').split()
    v.freeze()
    done, bells, irqs, us = (int(w) for w in words[:4])
    r = {'n': done, 'doorbells': bells, 'interrupts': irqs, 'us': us, 'cpu_ns': cpu}
    r.update({k: after[k] - before[k] for k in after})
    return r


def timed(r):
    n = r['n']
    return {'per_second': n / r['us'] * 1e6, 'vmm_cpu_ns': r['cpu_ns'] / n}


def counted(r, idle):
    n = r['n']
    out = {'doorbells': r['doorbells'] / n, 'interrupts': r['interrupts'] / n, 'by_call': {}}
    if 'exits' in r:
        # The conversation has exits of its own; what KVM_RUN is called for is counted as exits only.
        exits = max(0, r['exits'] - idle['exits'])
        calls = max(0, r['calls'] - idle['calls'])
        out['exits'] = exits / n
        out['system_calls'] = max(0, calls - exits) / n
        out['by_call'] = {k: max(0, r[k] - idle[k]) / n for k in counters.CALLS if r.get(k, 0) - idle.get(k, 0) > n / 1000}
        out['by_call'].pop('ioctl', None)
    return out


def requests(args, result):
    programs = vmm.programs()
    running = {}
    taps = {}
    for i, (name, (make, path)) in enumerate(programs.items()):
        disk = f'{args.dir}/{name}.img'
        with open(disk, 'wb') as f:
            for _ in range(DISK_MIB):
                f.write(b'\x55' * (1 << 20))
        taps[name] = f'bench{i}' if args.tap else None
        if args.tap:
            vmm.sh(f'ip tuntap add bench{i} mode tap vnet_hdr && ip link set bench{i} up')
        v = running[name] = vmm.Vmm(make(path, 'bench', MEM, disk, taps[name], args.queues), detail=True)
        v.wait_for(b'hello')
        result['memory'].setdefault(name, {})['bench_start_kib'] = counters.memory(v.pid, MEM)
        v.freeze()
    idle = {name: converse(v, 'n') for name, v in running.items()}
    for case, command, n in CASES:
        if not fnmatch.fnmatch(case, args.only) or (case.startswith('net') and not args.tap):
            continue
        command %= max(1, int(n * args.scale))
        for v in running.values():
            v.counters.switch(True)
        counts = {}
        rows = {name: [] for name in running}
        for round_ in range(args.rounds + 1):
            for name, v in list(running.items()):
                try:
                    r = converse(v, command, taps[name])
                except (RuntimeError, OSError) as e:
                    print(f'{case:20} {name:8} goes no further: {e}', flush=True)
                    rows.pop(name)
                    counts.pop(name, None)
                    running.pop(name).kill()
                    continue
                if round_:
                    rows[name].append(timed(r))
                else:
                    counts[name] = counted(r, idle[name])
                    v.counters.switch(False)
        rows = {name: r for name, r in rows.items() if r}
        result['requests'][case] = {name: {**counts[name], **summary(r)} for name, r in rows.items()}
        show(case, result['requests'][case], rows)
    for name, v in running.items():
        rss = counters.memory(v.pid, MEM)
        result['memory'][name]['bench_end_kib'] = rss
        v.kill()


def summary(rows):
    out = {k: statistics.median(r[k] for r in rows) for k in rows[0]}
    out['cpu_spread'] = [min(r['vmm_cpu_ns'] for r in rows), max(r['vmm_cpu_ns'] for r in rows)]
    return out


def show(case, by_name, rows):
    for name, r in by_name.items():
        ratio = ''
        if name != 'lkvm' and 'lkvm' in rows:
            each = sorted(a['vmm_cpu_ns'] / max(1, b['vmm_cpu_ns']) for a, b in zip(rows['lkvm'], rows[name]))
            ratio = f'{statistics.median(each):.2f} ({each[0]:.2f}-{each[-1]:.2f})'
        calls = ' '.join(f'{k}:{v:.2f}' for k, v in sorted((r['by_call'] or {}).items(), key=lambda x: -x[1])[:6])
        print(f'{case:20} {name:8} {r["per_second"]:9.0f} {r.get("exits", -1):6.2f} {r["doorbells"]:6.2f} '
              f'{r["interrupts"]:6.2f} {r.get("system_calls", -1):6.2f} {r["vmm_cpu_ns"]:8.0f} {ratio:17} {calls}', flush=True)


def start(args, result):
    print(f'{"start":20} {"":8} {"first us":>9} {"(range)":>15} {"exit us":>9} {"(range)":>15} {"cpu us":>7} {"calls":>6} '
          f'{"rss":>7} {"anon":>7} KiB')
    for mem in (128, 4096):
        rows = {}
        for round_ in range(args.rounds + 2):
            for name, (make, path) in vmm.programs().items():
                if name == 'qemu' and round_ > 2:
                    continue  # its firmware runs for seconds where KVM interprets
                v = vmm.Vmm(make(path, 'stop', mem, args.disk, None, 4))
                v.wait_for(b'!')
                first = time.monotonic() - v.began
                v.end()
                last = time.monotonic() - v.began
                calls = v.counters.read().get('calls', -1)
                v.counters.close()
                cpu = v.usage.ru_utime + v.usage.ru_stime
                rows.setdefault(name, []).append((first * 1e6, last * 1e6, calls, cpu * 1e6))
        for name, r in rows.items():
            make, path = vmm.programs()[name]
            v = vmm.Vmm(make(path, 'bench', mem, args.disk, None, 4), count=False)
            v.wait_for(b'hello')
            rss, anon = counters.memory(v.pid, mem)
            v.kill()
            f, l, c, cpu = zip(*r)
            result['start'].setdefault(str(mem), {})[name] = {
                'first_us': statistics.median(f), 'exit_us': statistics.median(l),
                'first_range': [min(f), max(f)], 'exit_range': [min(l), max(l)],
                'cpu_us': statistics.median(cpu),
                'system_calls': statistics.median(c), 'rss_kib': rss, 'anon_kib': anon,
                'binary_bytes': os.path.getsize(path) if os.path.exists(path) else None}
            print(f'{"%d MiB" % mem:20} {name:8} {statistics.median(f):9.0f} {"%.0f-%.0f" % (min(f), max(f)):>15} '
                  f'{statistics.median(l):9.0f} {"%.0f-%.0f" % (min(l), max(l)):>15} '
                  f'{statistics.median(cpu):7.0f} {statistics.median(c):6.0f} '
                  f'{rss:7} {anon:7}', flush=True)


def floor(args, result):
    """The same I/O from the host, without a VM."""
    program = f'{vmm.O}/tests/bench/floor'
    for case, command, n in CASES:
        words = command.split()
        if not fnmatch.fnmatch(case, args.only) or words[0] not in 'bt' or (words[0] == 't' and not args.tap):
            continue
        n = max(1, int(n * args.scale))
        what = [args.disk, *words[1:4]] if words[0] == 'b' else ['tap:benchf', '1', *words[2:0:-1]]
        out = [json.loads(subprocess.run([program, *what, str(n)], check=True, capture_output=True).stdout)
               for _ in range(args.rounds)]
        r = {k: statistics.median(o[k] for o in out) for k in out[0]}
        result['requests'].setdefault(case, {})['floor'] = r
        print(f'{case:20} {"floor":8} {r["per_second"]:9.0f} {0:6.2f} {0:6.2f} {0:6.2f} {r["system_calls"]:6.2f} '
              f'{r["vmm_cpu_ns"]:8.0f}', flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--only', default='*', help='cases, as a glob; "start" for the start alone')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--scale', type=float, default=1.0, help='of the number of requests')
    p.add_argument('--queues', type=int, default=1)
    p.add_argument('--json', default=f'{vmm.O}/bench.json')
    p.add_argument('--dir', required=True)
    args = p.parse_args()
    args.tap = os.environ.get('BENCH_TAP') == '1'
    args.disk = f'{args.dir}/plain.img'
    with open(args.disk, 'wb') as f:
        for _ in range(DISK_MIB):
            f.write(b'\x55' * (1 << 20))
    result = {'start': {}, 'requests': {}, 'memory': {}}
    if fnmatch.fnmatch('start', args.only):
        start(args, result)
    if args.only != 'start':
        print(f'{"per request":20} {"":8} {"/s":>9} {"exits":>6} {"bells":>6} {"irqs":>6} {"calls":>6} {"cpu ns":>8} '
              f'{"lkvm/it":17} by call', flush=True)
        try:
            requests(args, result)
        finally:
            for v in vmm.Vmm.alive[:]:
                v.kill()
        floor(args, result)
        for name, m in result['memory'].items():
            print(f'memory {name}: rss, anonymous KiB: {m["bench_start_kib"]} at the start, {m["bench_end_kib"]} afterwards')
    with open(args.json, 'w') as f:
        json.dump(result, f, indent=1)


if __name__ == '__main__':
    sys.exit(main())
