/*
 * check_json - what a check has found, for programs. The object is described
 * by "postbatch help check".
 */
#ifndef ENGINE_CHECK_JSON_H
#define ENGINE_CHECK_JSON_H

#include <stdio.h>

#include "engine/check.h"

/* One JSON object and a newline. */
void check_print_json(const struct check *c, FILE *out);

#endif
