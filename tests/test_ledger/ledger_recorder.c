/* Records what a process does to one directory, in the order in which it happened.
 *
 * Loaded with LD_PRELOAD. Every call that changes a file of RECORDER_DIRECTORY, and every line
 * written to RECORDER_ACKNOWLEDGEMENTS (a descriptor), is done and noted under one lock in
 * RECORDER_TRACE. From the trace tests/test_ledger/ledger_trace.py makes every disk that a power cut
 * could have left: the real engine with its threads, and no sync of it taken on trust.
 *
 * An entry: kind, length of the name, offset, length of the data (u8, u8, u64, u64, little-endian),
 * name, data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX];
static size_t directory_length;
static int trace = -1, acknowledgements = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
    const char *wanted = getenv("RECORDER_DIRECTORY"), *to = getenv("RECORDER_TRACE");
    const char *descriptor = getenv("RECORDER_ACKNOWLEDGEMENTS");
    if (!wanted || !to || !realpath(wanted, directory)) return;
    directory_length = strlen(directory);
    trace = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor) acknowledgements = atoi(descriptor);
}

/* The part of a path behind the directory: "" for itself, NULL for a path elsewhere. */
static const char *inside(const char *path) {
    if (trace < 0 || strncmp(path, directory, directory_length) != 0) return NULL;
    path += directory_length;
    if (*path == '\0') return path;
    return *path == '/' && !strchr(path + 1, '/') ? path + 1 : NULL;
}

static const char *name_of(int descriptor, char *buffer) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (trace < 0 || length < 0) return NULL;
    buffer[length] = '\0';
    return inside(buffer);
}

static void note(char kind, const char *name, uint64_t offset, const void *data, uint64_t length) {
    unsigned char head[18] = {(unsigned char)kind, (unsigned char)strlen(name)};
    memcpy(head + 2, &offset, 8);
    memcpy(head + 10, &length, 8);
    struct iovec parts[3] = {
        {head, sizeof head}, {(void *)name, strlen(name)}, {(void *)data, (size_t)length}};
    if (syscall(SYS_writev, trace, parts, 3) != (long)(sizeof head + strlen(name) + length)) abort();
}

static int opened(int descriptor, int flags) {
    char buffer[PATH_MAX];
    const char *name = descriptor < 0 ? NULL : name_of(descriptor, buffer);
    struct stat found;
    /* A file that O_CREAT found as it was is not made anew: empty is the same as new. */
    if (name && *name && (flags & (O_CREAT | O_TRUNC)) && !fstat(descriptor, &found) &&
        found.st_size == 0)
        note('c', name, 0, "", 0);
    return descriptor;
}

#define MODE(flags)                                                                                \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = va_arg(rest, mode_t);                                                               \
        va_end(rest);                                                                              \
    }
#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        MODE(flags)                                                                                \
        pthread_mutex_lock(&lock);                                                                 \
        int done = opened(REAL(name)(path, flags, mode), flags);                                   \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
#define OPENAT(name)                                                                               \
    int name(int at, const char *path, int flags, ...) {                                           \
        MODE(flags)                                                                                \
        pthread_mutex_lock(&lock);                                                                 \
        int done = opened(REAL(name)(at, path, flags, mode), flags);                               \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define PWRITE(name, offset_type)                                                                  \
    ssize_t name(int descriptor, const void *data, size_t length, offset_type offset) {            \
        char buffer[PATH_MAX];                                                                     \
        const char *file = name_of(descriptor, buffer);                                            \
        pthread_mutex_lock(&lock);                                                                 \
        ssize_t done = REAL(name)(descriptor, data, length, offset);                               \
        if (file && done > 0) note('w', file, (uint64_t)offset, data, (uint64_t)done);             \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int descriptor, const void *data, size_t length) {
    char buffer[PATH_MAX];
    const char *file = name_of(descriptor, buffer);
    pthread_mutex_lock(&lock);
    off_t offset = file ? lseek(descriptor, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_write, descriptor, data, length);
    if (file && done > 0) note('w', file, (uint64_t)offset, data, (uint64_t)done);
    if (trace >= 0 && descriptor == acknowledgements && done > 0)
        note('a', "", 0, data, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

#define SYNC(name)                                                                                 \
    int name(int descriptor) {                                                                     \
        char buffer[PATH_MAX];                                                                     \
        const char *file = name_of(descriptor, buffer);                                            \
        pthread_mutex_lock(&lock);                                                                 \
        int done = REAL(name)(descriptor);                                                         \
        if (file && !done) note(*file ? 's' : 'd', file, 0, "", 0);                                \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset_type)                                                                \
    int name(int descriptor, offset_type length) {                                                 \
        char buffer[PATH_MAX];                                                                     \
        const char *file = name_of(descriptor, buffer);                                            \
        pthread_mutex_lock(&lock);                                                                 \
        int done = REAL(name)(descriptor, length);                                                 \
        if (file && !done) note('t', file, (uint64_t)length, "", 0);                               \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *old, const char *new) {
    const char *from = inside(old), *to = inside(new);
    pthread_mutex_lock(&lock);
    int done = REAL(rename)(old, new);
    if (from && to && !done) note('r', from, 0, to, strlen(to));
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    const char *file = inside(path);
    pthread_mutex_lock(&lock);
    int done = REAL(unlink)(path);
    if (file && !done) note('u', file, 0, "", 0);
    pthread_mutex_unlock(&lock);
    return done;
}
