/*
 * hook_inner - what the files of the hook share; private to them.
 */
#ifndef ENGINE_HOOK_INNER_H
#define ENGINE_HOOK_INNER_H

#include "engine/hook.h"

/* Our environment without our settings, with the report's main fields; free
 * with hook_environment_free. It refers to our own variables. */
char **hook_environment(const struct hook_settings *settings,
                        const struct report *report);
void hook_environment_free(char **list);

#endif
