# SPDX-License-Identifier: GPL-2.0-only
"""The tables of tests/bench/linux: what its counters say, per VMM.

usage: linux_table.py LOGS WHERE SECONDS JSON PEER..."""
import glob
import json
import os
import re
import statistics
import sys

LOGS, WHERE, SECONDS, JSON = sys.argv[1:3] + [float(sys.argv[3])] + sys.argv[4:5]
PEERS = sys.argv[5:]
TICKS = os.sysconf('SC_CLK_TCK')
JOBS = ['blk-read-4k-d1', 'blk-read-4k-d32', 'blk-write-4k-d1', 'blk-write-4k-d32', 'blk-read-128k', 'blk-write-128k',
        'net-out', 'net-in']

# Why the processor left the guest: the numbers of AMD's manual (isa 2) and of Intel's (isa 1).
REASONS = {
    (2, 0x60): 'interrupt', (2, 0x61): 'interrupt', (2, 0x64): 'interrupt window', (2, 0x72): 'CPUID', (2, 0x78): 'halt',
    (2, 0x7b): 'port', (2, 0x7c): 'MSR', (2, 0x400): 'memory',
    (1, 1): 'interrupt', (1, 52): 'interrupt', (1, 7): 'interrupt window', (1, 10): 'CPUID', (1, 12): 'halt', (1, 30): 'port',
    (1, 31): 'MSR', (1, 32): 'MSR', (1, 48): 'memory', (1, 49): 'memory',
}
GROUPS = ['port', 'memory', 'MSR', 'CPUID', 'interrupt', 'interrupt window', 'halt', 'other']
PLACES = [(0x70, 0x71, 'CMOS clock'), (0x92, 0x92, 'port 0x92 (A20)'), (0x3f8, 0x3ff, 'serial port'),
          (0x2e8, 0x2ef, 'serial ports that are not there'), (0x2f8, 0x2ff, 'serial ports that are not there'),
          (0x3e8, 0x3ef, 'serial ports that are not there'), (0xcf8, 0xcff, 'PCI configuration'),
          (0x510, 0x51b, "QEMU's fw_cfg"), (0x402, 0x402, "firmware's messages"), (0x40, 0x43, 'timer (PIT)'),
          (0x61, 0x61, 'timer (PIT)'), (0x20, 0x21, 'interrupt controller (PIC)'), (0xa0, 0xa1, 'interrupt controller (PIC)'),
          (0x4d0, 0x4d1, 'interrupt controller (PIC)'), (0x60, 0x60, 'keyboard controller'),
          (0x64, 0x64, 'keyboard controller'), (0x80, 0x80, 'port 0x80'), (0, 0xffff, 'other ports')]


def histogram(run, point, event):
    """[(keys, count)] of one histogram trigger."""
    found = []
    try:
        with open(f'{LOGS}/{run}.{point}.{event}') as f:
            for line in f:
                m = re.match(r'\{ (.*) \} hitcount: +(\d+)', line)
                if m:
                    found.append(([int(n) for n in re.findall(r': +(\d+)', m[1])], int(m[2])))
    except OSError:
        pass
    return found


def total(run, point, event):
    return sum(count for _, count in histogram(run, point, event))


def number(run, name):
    try:
        with open(f'{LOGS}/{run}.{name}') as f:
            return float(f.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def exits(run, point):
    """From the start to this point."""
    groups = dict.fromkeys(GROUPS, 0)
    for (isa, reason), count in histogram(run, point, 'kvm_exit'):
        groups[REASONS.get((isa, reason), 'other')] += count
    ports = {}
    for (port, _), count in histogram(run, point, 'kvm_pio'):
        name = next(name for first, last, name in PLACES if first <= port <= last)
        ports[name] = ports.get(name, 0) + count
    begin, end = number(run, 'start.uptime'), number(run, f'{point}.uptime')
    return {'user': total(run, point, 'kvm_userspace_exit'), 'all': sum(groups.values()), 'groups': groups, 'ports': ports,
            'mmio': sum(n for keys, n in histogram(run, point, 'kvm_mmio') if keys[1] != 0),
            'seconds': end - begin if begin is not None and end is not None else None}


def cpu(run, point):
    """Seconds of the VMM without its vCPUs."""
    ticks = 0
    with open(f'{LOGS}/{run}.{point}.stat') as f:
        for i, line in enumerate(f):
            comm, rest = re.match(r'\d+ \((.*)\) (.*)', line).groups()
            fields = rest.split()
            used = int(fields[11]) + int(fields[12])
            if i == 0:
                ticks += used
            elif re.match(r'vcpu\d|CPU \d+/KVM', comm):
                ticks -= used
    return ticks / TICKS


def job(run, name):
    """A measurement: how much, how long, and what it took."""
    amount = number(run, f'{name}.number')
    if not amount:
        return None
    t = number(run, f'{name}.end.uptime') - number(run, f'{name}.begin.uptime')
    delta = {e: total(run, f'{name}.end', e) - total(run, f'{name}.begin', e) for e in ('kvm_exit', 'kvm_userspace_exit')}
    # iperf3 gives megabits a second: per 64 KiB, so that it is a number like a request's.
    units = amount * SECONDS * 1e6 / 8 / 65536 if name.startswith('net') else amount
    return {'amount': amount, 'seconds': t, 'units': units, 'user': delta['kvm_userspace_exit'] / units,
            'exits': delta['kvm_exit'] / units,
            'cpu_us': (cpu(run, f'{name}.end') - cpu(run, f'{name}.begin')) / units * 1e6}


def row(*cells):
    print('| ' + ' | '.join(str(c) for c in cells) + ' |')


def head(*cells):
    row(*cells)
    row(*['---'] * len(cells))


def integer(n):
    return f'{n:,.0f}'


def show_boot(title, runs, point):
    print(f'\n{title}\n')
    data = {p: exits(r, point) for p, r in runs.items()}
    head('', *data)
    row('exits to user space', *[integer(d['user']) for d in data.values()])
    # QEMU's microvm has no clock by default, and Linux looks for it twenty thousand times.
    apart = ('CMOS clock', 'port 0x92 (A20)')
    row('... without CMOS and port 0x92', *[integer(d['user'] - (sum(d['ports'].get(name, 0) for name in apart)
                                                                if p != 'lkvm' else 0)) for p, d in data.items()])
    row('all exits', *[integer(d['all']) for d in data.values()])
    for group in GROUPS:
        row(f'... {group}', *[integer(d['groups'][group]) for d in data.values()])
    for place in dict.fromkeys(name for _, _, name in PLACES):
        if any(d['ports'].get(place) for d in data.values()):
            row(f'port accesses: {place}', *[integer(d['ports'].get(place, 0)) for d in data.values()])
    row('memory-mapped accesses', *[integer(d['mmio']) for d in data.values()])
    row('seconds', *['' if d['seconds'] is None else f'{d["seconds"]:.1f}' for d in data.values()])
    return data


def show_lkvm(run, point):
    """By device, as lkvm counts itself (--debug-exits); the guest's whole life."""
    try:
        with open(f'{LOGS}/{run}.json') as f:
            counted = json.load(f)['exits']
    except (OSError, KeyError, ValueError):
        return None
    sums = {}
    for r in counted['accesses']:
        key = (r['device'] or 'nobody', 'writes' if r['write'] else 'reads')
        old = sums.setdefault(key, [0, 0])
        old[0] += r['before']
        old[1] += r['after']
    print("\nlkvm's exits to user space by device, until userspace and after it (--debug-exits, without `quiet`)\n")
    head('device', '', 'until userspace', 'after')
    for (device, way), (before, after) in sorted(sums.items(), key=lambda item: -sum(item[1])):
        row(device, way, integer(before), integer(after))
    row('writes that took none (coalesced)', '', integer(counted['coalesced']['before']), integer(counted['coalesced']['after']))
    return counted


def spread(values, fmt):
    if not values:
        return '-'
    if len(values) == 1:
        return fmt % values[0]
    return f'{fmt % statistics.median(values)} ({fmt % min(values)}-{fmt % max(values)})'


def show_jobs(rounds):
    data = {name: {p: [j for j in (job(f'{p}.quiet.{r}', name) for r in rounds) if j] for p in PEERS} for name in JOBS}
    if not any(any(d.values()) for d in data.values()):
        return data
    print('\nPer request (net: per 64 KiB): exits to user space, all exits, CPU time of the VMM without its vCPUs;'
          ' and the ratio of lkvm to each other one, of CPU time and of requests done\n')
    head('', 'VMM', 'per second', 'to user space', 'exits', 'CPU us', 'CPU ratio', 'rate ratio')
    for name in JOBS:
        ours = data[name].get('lkvm', [])
        for p in PEERS:
            js = data[name][p]
            pairs = list(zip(ours, js))
            row(name if p == PEERS[0] else '', p, spread([j['units'] / SECONDS for j in js], '%.0f'),
                spread([j['user'] for j in js], '%.2f'), spread([j['exits'] for j in js], '%.2f'),
                spread([j['cpu_us'] for j in js], '%.0f'),
                '' if p == 'lkvm' else spread([a['cpu_us'] / b['cpu_us'] for a, b in pairs if b['cpu_us']], '%.2f'),
                '' if p == 'lkvm' else spread([a['units'] / b['units'] for a, b in pairs], '%.2f'))
    return data


rounds = sorted({int(re.search(r'\.quiet\.(\d+)\.', f)[1]) for f in glob.glob(f'{LOGS}/*.quiet.*.start.uptime')})
if not rounds:
    sys.exit('linux: nothing was counted')
print(f'# {WHERE}; {len(rounds)} rounds')
result = {'where': WHERE, 'rounds': len(rounds)}
quiet = {p: f'{p}.quiet.{rounds[0]}' for p in PEERS}
loud = {p: f'{p}.loud' for p in PEERS}
result['init'] = show_boot('From the start to init, with `quiet`', quiet, 'init')
result['devices'] = show_boot('From the start until the drivers of all devices are there, with `quiet`', quiet, 'devices')
result['loud'] = show_boot('From the start to init, all messages on the serial port', loud, 'init')
if 'lkvm' in PEERS:
    result['lkvm'] = show_lkvm('lkvm.loud', 'init')
result['jobs'] = show_jobs(rounds)
with open(JSON, 'w') as f:
    json.dump(result, f, indent=1)
