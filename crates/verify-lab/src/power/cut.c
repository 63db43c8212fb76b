/* Power that can be cut. Preloaded into a program, it notes before each write to a file under POWER_DIR what was there, and
 * after each sync up to where the notes are safe. Whoever kills the program puts back what was never synced: see mod.rs, which
 * reads the notes. With POWER_SYNC_US each sync takes that much longer.
 *
 * A note: kind (1), inode (8), offset (8), length (8), size of the file before (8), length of what follows (8), and that: the
 * bytes that were there. Numbers are as the machine has them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITTEN = 1, SYNCED = 2, CUT_SHORT = 3 };

static const char *directory;
static int notes = -1;
static long sync_us;

__attribute__((constructor)) static void begin(void) {
  const char *us = getenv("POWER_SYNC_US"), *path = getenv("POWER_NOTES");
  sync_us = us ? atol(us) : 0;
  directory = getenv("POWER_DIR");
  if (directory && path) notes = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* True for a regular file under the directory. */
static int is_watched(int fd, struct stat *st) {
  char link[64], path[PATH_MAX];
  ssize_t n;
  if (notes < 0 || fd == notes) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return !strncmp(path, directory, strlen(directory)) && !fstat(fd, st) && S_ISREG(st->st_mode);
}

static void note(char kind, uint64_t inode, uint64_t offset, uint64_t length, uint64_t size, void *data, uint64_t n) {
  uint64_t head[5] = {inode, offset, length, size, n};
  struct iovec parts[3] = {{&kind, 1}, {head, sizeof head}, {data, n}};
  int before = errno;
  if (syscall(SYS_writev, notes, parts, n ? 3 : 2) < 0) _exit(97);
  errno = before;
}

static void before_write(int fd, off_t offset, size_t length, char kind) {
  struct stat st;
  if (!is_watched(fd, &st)) return;
  size_t there = offset >= st.st_size ? 0 : (size_t)(st.st_size - offset);
  if (there > length) there = length;
  char *old = malloc(there + 1);
  ssize_t n = there ? syscall(SYS_pread64, fd, old, there, offset) : 0;
  if (n < 0) n = 0;
  note(kind, st.st_ino, offset, length, st.st_size, old, n);
  free(old);
}

static off_t place(int fd) {
  struct stat st;
  if ((fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &st)) return st.st_size;
  return lseek(fd, 0, SEEK_CUR);
}

static size_t total(const struct iovec *parts, int count) {
  size_t sum = 0;
  for (int i = 0; i < count; i++) sum += parts[i].iov_len;
  return sum;
}

ssize_t write(int fd, const void *data, size_t n) {
  struct stat st;
  if (notes >= 0 && is_watched(fd, &st)) before_write(fd, place(fd), n, WRITTEN);
  return syscall(SYS_write, fd, data, n);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
  before_write(fd, offset, n, WRITTEN);
  return syscall(SYS_pwrite64, fd, data, n, offset);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) { return pwrite64(fd, data, n, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct stat st;
  if (notes >= 0 && is_watched(fd, &st)) before_write(fd, place(fd), total(parts, count), WRITTEN);
  return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  before_write(fd, offset, total(parts, count), WRITTEN);
  return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return pwritev64(fd, parts, count, offset);
}

int ftruncate64(int fd, off64_t size) {
  struct stat st;
  if (is_watched(fd, &st)) before_write(fd, size, st.st_size > size ? st.st_size - size : 0, CUT_SHORT);
  return syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
  before_write(fd, offset, length, WRITTEN);
  return syscall(SYS_fallocate, fd, 0, offset, length) < 0 ? errno : 0;
}

int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  before_write(fd, offset, length, WRITTEN);
  return syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }

/* What was noted before the sync began is safe once it returned; what came meanwhile may not be. */
static int synced(int fd, long call) {
  struct stat st, log;
  int watched = is_watched(fd, &st) && !fstat(notes, &log);
  if (sync_us) usleep(sync_us);
  int result = syscall(call, fd);
  if (!result && watched) note(SYNCED, st.st_ino, log.st_size, 0, 0, NULL, 0);
  return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
