/*
 * report_once - a report made by a command, without the table of alarms.
 *
 * For what goes wrong while the schema may not even be there. Tells Errbit
 * and the operator's command, as the settings have it, and waits for both,
 * within their time limits.
 */
#ifndef ENGINE_REPORT_ONCE_H
#define ENGINE_REPORT_ONCE_H

#include "engine/settings.h"
#include "model.h"

/* Nothing happens when the settings name no place for reports. What cannot be
 * told is told to standard error. */
void report_once(const struct settings *settings, const struct report *report);

#endif
