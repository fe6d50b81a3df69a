/*
 * folder - a folder of files for one test, made and removed by it.
 */
#ifndef TESTS_UNIT_FOLDER_H
#define TESTS_UNIT_FOLDER_H

enum { FOLDER_PATH = 64 }; /* room for the path of such a folder */

/* Makes an empty one below /tmp; path gets its path. */
void folder_make(char path[FOLDER_PATH]);
/* Writes the file folder/name, with the folders it needs. */
void folder_put(const char *folder, const char *name, const char *text);
/* Removes it with all that is in it. */
void folder_remove(const char *folder);

#endif
