/*
 * catalog_text - the template files of a tree, as files.
 */
#ifndef MAIL_CATALOG_TEXT_H
#define MAIL_CATALOG_TEXT_H

#include "base/problems.h"

/* Calls on_file for each template, layout and partial (*.mustache) below dir,
 * folder by folder; also for those that nothing uses. */
void catalog_files(const char *dir,
                   void (*on_file)(void *ctx, const char *path), void *ctx);

/*
 * Adds an error, with its line, for each template, layout or partial below dir
 * that has bytes which are not UTF-8, or a NUL. (Contracts are looked at when
 * they are loaded.)
 */
void catalog_check_text(const char *dir, struct problems *problems);

#endif
