/*
 * intake_step - from an answer of the source server to what is written.
 */
#ifndef ENGINE_INTAKE_STEP_H
#define ENGINE_INTAKE_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "mail/catalog.h"
#include "store/cursor.h"
#include "web/obs_answer.h"

/*
 * The events of an answer that was asked for from the cursor on, and the gap
 * between the cursor and the answer's next, if there is one. The step is to be
 * released. False, with why, when the answer contradicts itself or memory runs
 * out; then there is nothing to release.
 */
bool intake_step_make(struct cursor_step *step, const struct catalog *catalog,
                      int64_t cursor, const struct obs_answer *answer,
                      struct buf *why);

/* Alarms about the gap of a step, if it has one. To be called once it is
 * recorded. */
void intake_step_tell(const char *source, const struct cursor_step *step);

#endif
