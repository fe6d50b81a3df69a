/*
 * folder - a folder of files for one test.
 */
#include "folder.h"

#include "test.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

void folder_make(char path[FOLDER_PATH])
{
    snprintf(path, FOLDER_PATH, "/tmp/postbatch-test.XXXXXX");
    assert_non_null(mkdtemp(path));
}

void folder_put(const char *folder, const char *name, const char *text)
{
    char full[256];
    FILE *file = NULL;

    snprintf(full, sizeof(full), "%s/%s", folder, name);
    for (char *slash = full + strlen(folder) + 1;
         (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void folder_remove(const char *folder)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
