/* Stands between a process and the C library (LD_PRELOAD) and lets its disk and its clock fail when a
 * test wants them to. Nothing happens unless the environment asks for it:
 *
 *   SHIM_FOLDER    operations on this folder and on what lies in it are seen; all others pass
 *   SHIM_JOURNAL   a file that gets a line "KIND NAME" for each operation that is seen, "KIND NAME MODE"
 *                  for one that failed
 *   SHIM_PLAN      "MODE KIND NAME NTH TIMES": what happens to the NTH (from 1) operation of that kind on
 *                  the file of that name (with * and ?; "." is the folder itself), and to TIMES - 1 after it (0: to all);
 *                  several plans with semicolons between them, the first that speaks counts
 *   SHIM_ERROR     what a failing operation reports, as a number of errno; EIO when absent
 *   SHIM_CONTROLS  a file of two little-endian 64-bit integers that may change while the process runs:
 *                  seconds that are added to the wall clock, and an errno (0: none) with which every
 *                  write that is seen fails, as on a full disk
 *
 * Kinds: write, sync, truncate, rename (by the new name), unlink.
 * Modes: lost   nothing is done, and it is reported as failed
 *        done   it is done, and reported as failed
 *        torn   half of a write is done, and it is reported as failed
 *        kill   it is done, and the process is gone
 *        lie    nothing is done, and it is reported as done
 *        cut    it is done, then the power is cut: the process is gone, and so is every write and
 *               truncation of a file that was not synced since
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The functions with 64 in their names are then the others under a second name. */
_Static_assert(sizeof(off_t) == 8, "for 64-bit machines");

enum mode { NONE, LOST, DONE, TORN, KILL, LIE, CUT };
static const char *const MODES[] = {"", "lost", "done", "torn", "kill", "lie", "cut"};

static struct plan {
  enum mode mode;
  char kind[16];
  char name[256];
  unsigned long first, times, met;
} plans[4];
static size_t plan_count;
/* Whether what was not synced may have to go. */
static bool keeps_undo;

struct controls {
  volatile int64_t clock_seconds;
  volatile int64_t write_errno;
};

static const struct controls nothing;
static const struct controls *controls = &nothing;
static char folder[PATH_MAX];
static int journal = -1;
static int failure = EIO;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*next_writev)(int, const struct iovec *, int);
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);
static int (*next_ftruncate)(int, off_t);
static int (*next_rename)(const char *, const char *);
static int (*next_unlink)(const char *);
static int (*next_clock_gettime)(clockid_t, struct timespec *);

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

/* A plan that cannot be read would be a test that tests nothing. */
static void refuse(const char *what) {
  dprintf(STDERR_FILENO, "the shim was given no usable %s\n", what);
  _exit(99);
}

static void read_plans(const char *text) {
  for (; text; text = strchr(text, ';')) {
    struct plan *plan = &plans[plan_count++];
    char mode[16];
    text += *text == ';';
    if (plan_count > sizeof plans / sizeof *plans) refuse("SHIM_PLAN");
    if (sscanf(text, "%15s %15s %255s %lu %lu", mode, plan->kind, plan->name, &plan->first, &plan->times) != 5)
      refuse("SHIM_PLAN");
    for (enum mode each = LOST; each <= CUT; each++)
      if (!strcmp(mode, MODES[each])) plan->mode = each;
    if (plan->mode == NONE || plan->first == 0) refuse("SHIM_PLAN");
    keeps_undo |= plan->mode == CUT;
  }
}

static void look_up(void) {
  next_write = next("write");
  next_pwrite = next("pwrite64");
  next_writev = next("writev");
  next_fsync = next("fsync");
  next_fdatasync = next("fdatasync");
  next_ftruncate = next("ftruncate64");
  next_rename = next("rename");
  next_unlink = next("unlink");
  next_clock_gettime = next("clock_gettime");
}

__attribute__((constructor)) static void begin(void) {
  look_up();
  const char *given = getenv("SHIM_FOLDER");
  /* The folder may not be there yet: the path must be one without links. */
  if (given && snprintf(folder, sizeof folder, "%s", given) >= (int)sizeof folder) refuse("SHIM_FOLDER");
  if ((given = getenv("SHIM_JOURNAL"))) {
    journal = open(given, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) refuse("SHIM_JOURNAL");
  }
  if ((given = getenv("SHIM_PLAN"))) read_plans(given);
  if ((given = getenv("SHIM_ERROR"))) failure = atoi(given);
  if ((given = getenv("SHIM_CONTROLS"))) {
    int file = open(given, O_RDONLY | O_CLOEXEC);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *controls, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) refuse("SHIM_CONTROLS");
    controls = mapped;
    close(file);
  }
}

/* The name of a file in the folder, "." for the folder itself, NULL for any other. */
static const char *name_in_folder(const char *path) {
  size_t length = strlen(folder);
  if (length == 0 || strncmp(path, folder, length)) return NULL;
  if (path[length] == '\0') return ".";
  return path[length] == '/' ? path + length + 1 : NULL;
}

static const char *name_of(int fd, char path[PATH_MAX]) {
  if (!folder[0]) return NULL;
  int saved = errno;
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  errno = saved;
  if (length < 0) return NULL;
  path[length] = '\0';
  return name_in_folder(path);
}

/* What the plans say about this operation, which is noted. Called by one at a time. */
static enum mode met(const char *kind, const char *name) {
  enum mode mode = NONE;
  for (struct plan *plan = plans; plan < plans + plan_count; plan++) {
    if (strcmp(kind, plan->kind) || fnmatch(plan->name, name, 0)) continue;
    plan->met++;
    bool is_over = plan->times != 0 && plan->met >= plan->first + plan->times;
    if (mode == NONE && plan->met >= plan->first && !is_over) mode = plan->mode;
  }
  if (journal >= 0) {
    char line[PATH_MAX];
    int length = snprintf(line, sizeof line, mode ? "%s %s %s\n" : "%s %s\n", kind, name, MODES[mode]);
    if (next_write(journal, line, length) != length) abort();
  }
  return mode;
}

/* The files that were written to. They are never closed: that would take the process's locks on them. */
static struct kept {
  dev_t device;
  ino_t inode;
  int file;
} kept[64];
static size_t kept_count;

/* What stood where something was written that is not synced yet, newest first. */
struct undo {
  struct undo *before;
  const struct kept *kept;
  off_t size, offset;
  size_t length;
  char content[];
};
static struct undo *unsynced;

static const struct kept *find_kept(const struct stat *file) {
  for (size_t each = 0; each < kept_count; each++)
    if (kept[each].device == file->st_dev && kept[each].inode == file->st_ino) return &kept[each];
  return NULL;
}

static const struct kept *keep(int fd, const struct stat *file) {
  const struct kept *known = find_kept(file);
  if (known) return known;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int opened = open(path, O_RDWR | O_CLOEXEC);
  if (opened < 0 || kept_count == sizeof kept / sizeof *kept) abort();
  kept[kept_count] = (struct kept){file->st_dev, file->st_ino, opened};
  return &kept[kept_count++];
}

/* The shared memory of SQLite is mapped by others, who must not find it shorter; nobody trusts what it
 * holds after a cut. */
static bool is_mapped(const char *name) {
  size_t length = strlen(name);
  return length > 4 && !strcmp(name + length - 4, "-shm");
}

static void remember(int fd, off_t offset, size_t length, const char *name) {
  if (!keeps_undo || is_mapped(name)) return;
  struct stat before;
  struct undo *undo = malloc(sizeof *undo + length);
  if (!undo || fstat(fd, &before)) abort();
  const struct kept *file = keep(fd, &before);
  ssize_t had = pread(file->file, undo->content, length, offset);
  if (had < 0) abort();
  *undo = (struct undo){unsynced, file, before.st_size, offset, had};
  unsynced = undo;
}

static void forget(int fd) {
  struct stat now;
  if (!unsynced || fstat(fd, &now)) return;
  const struct kept *synced = find_kept(&now);
  for (struct undo **link = &unsynced; *link;) {
    struct undo *undo = *link;
    if (undo->kept == synced) {
      *link = undo->before;
      free(undo);
    } else {
      link = &undo->before;
    }
  }
}

static void kill_self(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* The mutex stays locked, so that nobody writes between the cut and the end. */
static void end_if_wanted(enum mode mode) {
  if (mode == CUT) {
    for (struct undo *undo = unsynced; undo; undo = undo->before) {
      if (next_ftruncate(undo->kept->file, undo->size)) abort();
      if (next_pwrite(undo->kept->file, undo->content, undo->length, undo->offset) != (ssize_t)undo->length) abort();
    }
  }
  if (mode == KILL || mode == CUT) kill_self();
}

/* One write. `offset` is -1 where the file's own position counts. */
static ssize_t write_or_fail(int fd, const char *bytes, size_t length, off_t offset, const char *name) {
  pthread_mutex_lock(&one_at_a_time);
  enum mode mode = met("write", name);
  ssize_t result = length;
  int error = failure;
  if (controls->write_errno && mode == NONE) {
    mode = LOST;
    error = (int)controls->write_errno;
  }
  size_t wanted = mode == TORN ? length / 2 : length;
  if (mode == LIE && offset < 0) {
    lseek(fd, length, SEEK_CUR);
  } else if (mode != LOST && mode != LIE) {
    remember(fd, offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset, length, name);
    result = offset < 0 ? next_write(fd, bytes, wanted) : next_pwrite(fd, bytes, wanted, offset);
  }
  end_if_wanted(mode);
  if (mode == LOST || mode == DONE || mode == TORN) {
    result = -1;
    errno = error;
  }
  pthread_mutex_unlock(&one_at_a_time);
  return result;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  return name ? write_or_fail(fd, bytes, length, -1, name) : next_write(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  return name ? write_or_fail(fd, bytes, length, offset, name) : next_pwrite(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  return pwrite64(fd, bytes, length, offset);
}

/* The first piece alone: callers must be ready for that. */
ssize_t writev(int fd, const struct iovec *pieces, int count) {
  char path[PATH_MAX];
  const char *name = count > 0 ? name_of(fd, path) : NULL;
  return name ? write_or_fail(fd, pieces[0].iov_base, pieces[0].iov_len, -1, name) : next_writev(fd, pieces, count);
}

/* Half of a sync, of a truncation, of a name is none. */
static bool is_done(enum mode mode) { return mode != LOST && mode != LIE && mode != TORN; }

static int reported(enum mode mode, int result) {
  end_if_wanted(mode);
  if (mode == LOST || mode == DONE || mode == TORN) {
    errno = failure;
    result = -1;
  }
  pthread_mutex_unlock(&one_at_a_time);
  return result;
}

static int sync_or_fail(int fd, const char *name, int (*sync)(int)) {
  pthread_mutex_lock(&one_at_a_time);
  enum mode mode = met("sync", name);
  int result = 0;
  if (is_done(mode)) {
    result = sync(fd);
    forget(fd);
  }
  return reported(mode, result);
}

int fsync(int fd) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  return name ? sync_or_fail(fd, name, next_fsync) : next_fsync(fd);
}

int fdatasync(int fd) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  return name ? sync_or_fail(fd, name, next_fdatasync) : next_fdatasync(fd);
}

int ftruncate64(int fd, off_t size) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (!name) return next_ftruncate(fd, size);
  pthread_mutex_lock(&one_at_a_time);
  enum mode mode = met("truncate", name);
  int result = 0;
  if (is_done(mode)) {
    struct stat before;
    if (keeps_undo && fstat(fd, &before) == 0 && before.st_size > size)
      remember(fd, size, before.st_size - size, name);
    else
      remember(fd, size, 0, name);
    result = next_ftruncate(fd, size);
  }
  return reported(mode, result);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from, const char *to) {
  const char *name = name_in_folder(to);
  if (!name) return next_rename(from, to);
  pthread_mutex_lock(&one_at_a_time);
  enum mode mode = met("rename", name);
  return reported(mode, is_done(mode) ? next_rename(from, to) : 0);
}

int unlink(const char *path) {
  const char *name = name_in_folder(path);
  if (!name) return next_unlink(path);
  pthread_mutex_lock(&one_at_a_time);
  enum mode mode = met("unlink", name);
  return reported(mode, is_done(mode) ? next_unlink(path) : 0);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  /* Asked for before this library was made ready. */
  if (!next_clock_gettime) return (int)syscall(SYS_clock_gettime, clock, now);
  int result = next_clock_gettime(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += controls->clock_seconds;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exactly;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &exactly)) return -1;
  now->tv_sec = exactly.tv_sec;
  now->tv_usec = exactly.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec exactly;
  if (clock_gettime(CLOCK_REALTIME, &exactly)) return -1;
  if (now) *now = exactly.tv_sec;
  return exactly.tv_sec;
}
