// Loaded into a program under test (LD_PRELOAD), so that a disk fails, a signal arrives or the clock is set at an exact
// call, while the program is the one that ships.
//
//   FAULT_AT     the call and the end of its path, of a rename of the target's, as in `rename cache/status.json`. Calls: create,
//                open, read, write, fsync, syncfs, rename, unlink, rmdir, mkdir, touch; `create` is every opening for writing. After
//                several lines: the first such call once each line before it has happened, in that order
//   FAULT_DO     errno N: it fails so · signal N: the process gets that signal · clock S: the time of day moves by S seconds
//   FAULT_THEN   with errno: these calls fail so from then on, on every path of a cache or staging folder
//   FAULT_MARK   a file to which the call that was struck is written
//   CLOCK_AHEAD  so many seconds are added to the time of day from the beginning
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum action { NOTHING, FAIL, RAISE, CLOCK };

static enum action action;
static struct { const char *call, *path; } steps[16];
static const char *then_calls, *mark;
static long number, ahead;
static int count;
static atomic_int step, begun, told, stopping;

__attribute__((constructor)) static void read_orders(void) {
    const char *order = getenv("FAULT_DO"), *at = getenv("FAULT_AT"), *clock = getenv("CLOCK_AHEAD");
    then_calls = getenv("FAULT_THEN");
    mark = getenv("FAULT_MARK");
    ahead = clock ? atol(clock) : 0;
    if (!order || !at || !mark) return;
    char *rest = strdup(at), *line;
    while (rest && (line = strsep(&rest, "\n"))) {
        if (count == sizeof steps / sizeof *steps) abort();
        steps[count].call = strsep(&line, " ");
        if (!(steps[count++].path = line)) abort();
    }
    if (sscanf(order, "errno %ld", &number) == 1) action = FAIL;
    else if (sscanf(order, "signal %ld", &number) == 1) action = RAISE;
    else if (sscanf(order, "clock %ld", &number) == 1) action = CLOCK;
    else abort();
}

// The next definition of a function: libc's.
#define REAL(result, name, ...)                                                                                        \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int among(const char *call, const char *list) {
    size_t length = strlen(call);
    for (const char *at = list; at && (at = strstr(at, call)); at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) return 1;
    return 0;
}

static void tell(const char *call, const char *path) {
    if (atomic_exchange(&told, 1)) return;
    char line[PATH_MAX + 32];
    int length = snprintf(line, sizeof line, "%s %s", call, path);
    long file = syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || syscall(SYS_write, file, line, length) != length) abort();
    syscall(SYS_close, file);
}

// A signal that is handled is handled on another thread: the call goes on only when the program has logged which signal stops it,
// so that what was struck is this very call.
static void raise_and_wait(void) {
    kill(getpid(), (int)number);
    for (int waits = 0; !atomic_load(&stopping); waits++) {
        if (waits > 20000) abort();
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
}

// What the system says before it says that the disk is full or the folder forbidden.
static int is_spared(const char *call, const char *path) {
    int there = access(path, F_OK) == 0;
    if (among(call, "unlink,rmdir,touch")) return !there;
    return there && among(call, "create,mkdir") && (number == ENOSPC || number == EACCES);
}

// Whether a call is the one that is struck: the last step, after all others.
static int happens(const char *call, const char *path) {
    int now = atomic_load(&step);
    if (now == count || strcmp(call, steps[now].call)) return 0;
    size_t length = strlen(path), ending = strlen(steps[now].path);
    if (length < ending || strcmp(path + length - ending, steps[now].path)) return 0;
    // One of several threads.
    if (!atomic_compare_exchange_strong(&step, &now, now + 1) || now + 1 < count) return 0;
    atomic_store(&begun, 1);
    return 1;
}

// The errno that a call is to fail with, or 0.
static int strike(const char *call, const char *path) {
    if (action == NOTHING) return 0;
    if (!atomic_load(&begun)) {
        if (!happens(call, path)) return 0;
        if (action != FAIL || !then_calls) tell(call, path);
        if (action == RAISE) raise_and_wait();
        if (action == FAIL && !then_calls) return (int)number;
    }
    if (action != FAIL || !then_calls || !among(call, then_calls) || !strstr(path, "cache")) return 0;
    int kept = errno, spared = is_spared(call, path);
    errno = kept;
    if (spared) return 0;
    tell(call, path);
    return (int)number;
}

static int strike_file(const char *call, int file) {
    int now = atomic_load(&step);
    if (action == NOTHING || !((now < count && !strcmp(call, steps[now].call)) || among(call, then_calls))) return 0;
    char name[32], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    return strike(call, path);
}

#define FAILS(struck)                                                                                                  \
    do {                                                                                                               \
        int code = (struck);                                                                                           \
        if (code) return errno = code, -1;                                                                             \
    } while (0)

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        REAL(int, name, const char *, int, ...);                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        FAILS(strike((flags & O_CREAT) || (flags & O_ACCMODE) != O_RDONLY ? "create" : "open", path));                 \
        return real(path, flags, mode);                                                                                \
    }
OPEN(open)
OPEN(open64)

ssize_t read(int file, void *into, size_t most) {
    REAL(ssize_t, read, int, void *, size_t);
    FAILS(strike_file("read", file));
    return real(file, into, most);
}

static void listen_to(const void *text, size_t length) {
    if (memmem(text, length, "SIGTERM", 7)) atomic_store(&stopping, 1);
}

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(ssize_t, write, int, const void *, size_t);
    FAILS(strike_file("write", file));
    if (file == 2) listen_to(bytes, count);
    return real(file, bytes, count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    FAILS(strike_file("write", file));
    for (int part = 0; file == 2 && part < count; part++) listen_to(parts[part].iov_base, parts[part].iov_len);
    return real(file, parts, count);
}

int fsync(int file) {
    REAL(int, fsync, int);
    FAILS(strike_file("fsync", file));
    return real(file);
}

int syncfs(int file) {
    REAL(int, syncfs, int);
    FAILS(strike_file("syncfs", file));
    return real(file);
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    FAILS(strike("rename", to));
    return real(from, to);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    FAILS(strike("unlink", path));
    return real(path);
}

int rmdir(const char *path) {
    REAL(int, rmdir, const char *);
    FAILS(strike("rmdir", path));
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    FAILS(strike("mkdir", path));
    return real(path, mode);
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    REAL(int, utimensat, int, const char *, const struct timespec[2], int);
    FAILS(strike("touch", path));
    return real(folder, path, times, flags);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        time->tv_sec += ahead;
        if (action == CLOCK && atomic_load(&begun)) time->tv_sec += number;
    }
    return result;
}
