"""A system clock that can be moved for some processes alone, without touching the machine's.

Setting the real one would need a privilege and hit everything on the machine. Instead a library of
a few lines, compiled here and preloaded, adds an offset from a file to the real-time clock, and
takes it off again where somebody waits until a time of it: the kernel knows of no offset.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

from vla_driving.bringup.lifecycle import BringupError
from vla_driving.contract.clock import Nanoseconds

OFFSET_FILE = "VLA_CLOCK_OFFSET_FILE"
"""Environment variable that names the file: one little-endian int64, ns."""

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void open_offset(void) {
    const char *path = getenv("VLA_CLOCK_OFFSET_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) offset = page;
}

int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, t);
    if (result == 0 && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t now = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec + *offset;
        t->tv_sec = now / 1000000000;
        t->tv_nsec = now % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}

/* Times of the monotonic clock, which condition variables may go by as well, are far smaller. */
static struct timespec machine_time(const struct timespec *t) {
    struct timespec result = *t;
    if (offset && t->tv_sec > 1000000000) {
        int64_t then = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec - *offset;
        result.tv_sec = then / 1000000000;
        result.tv_nsec = then % 1000000000;
    }
    return result;
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict t) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec then = machine_time(t);
    return real(c, m, &then);
}

int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
                           const struct timespec *t) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    struct timespec then = machine_time(t);
    return real(c, m, clock, &then);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict m, const struct timespec *restrict t) {
    static int (*real)(pthread_mutex_t *, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "pthread_mutex_timedlock");
    struct timespec then = machine_time(t);
    return real(m, &then);
}

int sem_timedwait(sem_t *restrict s, const struct timespec *restrict t) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec then = machine_time(t);
    return real(s, &then);
}

int sem_clockwait(sem_t *restrict s, clockid_t clock, const struct timespec *restrict t) {
    static int (*real)(sem_t *, clockid_t, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "sem_clockwait");
    struct timespec then = machine_time(t);
    return real(s, clock, &then);
}
"""


class MovableClock:
    """The offset of all processes started with `environment`."""

    def __init__(self, folder: Path) -> None:
        """Compile the library into `folder`. Raises BringupError where there is no compiler."""
        folder.mkdir(parents=True, exist_ok=True)
        library, offset = folder / "clock.so", folder / "clock_offset"
        offset.write_bytes(struct.pack("<q", 0))
        _compile(folder / "clock.c", library)
        self.environment = {
            "LD_PRELOAD": str(library.resolve()), OFFSET_FILE: str(offset.resolve())
        }
        with offset.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)

    def set(self, offset_ns: Nanoseconds) -> None:
        """Let the clock of all of them stand this much ahead of the machine's."""
        self._page[:8] = struct.pack("<q", offset_ns)

    def close(self) -> None:
        """Let go of the file."""
        self._page.close()


def _compile(source: Path, library: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BringupError("a C compiler is missing, for the clock that jumps: apt-get install gcc")
    source.write_text(_SOURCE, encoding="utf-8")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BringupError(f"{' '.join(command)}: {done.stderr.strip()}")
