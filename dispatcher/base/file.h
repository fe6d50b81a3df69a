/*
 * file - a whole file at once.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Appends the bytes of the regular file path to out. False, and errno says
 * why, when it cannot be read; EFBIG when it has more bytes than out may
 * still grow by.
 */
bool file_read(const char *path, struct buf *out)
    __attribute__((warn_unused_result));

#endif
