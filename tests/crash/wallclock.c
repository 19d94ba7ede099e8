/* A wall clock that a test can set: LD_PRELOAD=wallclock.so WALLCLOCK=FILE, where FILE holds by how many milliseconds
 * the wall clock is ahead, as eight bytes in the host's order. The steady clocks stay as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *ahead_ms;

__attribute__((constructor)) static void open_file(void) {
  const char *path = getenv("WALLCLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0)
    return;
  void *mapped = mmap(0, sizeof *ahead_ms, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED)
    ahead_ms = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int failed = (int)syscall(SYS_clock_gettime, clock, time);
  if (failed || !ahead_ms || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
    return failed;
  int64_t ms = *ahead_ms, nanos = time->tv_nsec + ms % 1000 * 1000000;
  time->tv_sec += ms / 1000 + (nanos >= 1000000000) - (nanos < 0);
  time->tv_nsec = nanos + (nanos < 0 ? 1000000000 : nanos >= 1000000000 ? -1000000000 : 0);
  return 0;
}
