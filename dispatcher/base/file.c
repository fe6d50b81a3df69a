/*
 * file - a whole file at once.
 *
 * Reads until nothing comes, whatever size the file claims to have.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 16 * 1024 };

static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        char chunk[CHUNK];
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0;
        }
        buf_put(out, chunk, (size_t)n);
        if (!buf_ok(out)) {
            errno = EFBIG;
            return false;
        }
    }
}

bool file_read(const char *path, struct buf *out)
{
    struct stat st;
    bool ok = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int saved = 0;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    } else {
        ok = read_all(fd, out);
    }
    saved = errno;
    close(fd);
    errno = saved;
    return ok;
}
