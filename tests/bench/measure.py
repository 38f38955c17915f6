"""What every measurement here shares: the process's age, its memory, and who else was busy."""

import json
import os
import resource
import time


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def seconds_since_start():
    """Since the kernel made this process: interpreter and imports count too."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def peak_rss_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def allocator():
    return "tcmalloc" if "tcmalloc" in os.environ.get("LD_PRELOAD", "") else "libc"


class Neighbours:
    """Counts the cores that other processes kept busy while a measurement ran: near 0 on a quiet
    machine, and a reason to measure again when it is not."""

    def __init__(self):
        self.wall = time.perf_counter()
        self.machine, self.own = self._machine_seconds(), self._own_seconds()

    @staticmethod
    def _machine_seconds():
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own_seconds():
        total = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            total += usage.ru_utime + usage.ru_stime
        return total

    def busy_cores(self):
        others = self._machine_seconds() - self.machine - (self._own_seconds() - self.own)
        return round(max(0.0, others) / (time.perf_counter() - self.wall), 2)
