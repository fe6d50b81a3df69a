/*
 * obs_answer_parts - what the readers of both views share; private to them.
 */
#ifndef WEB_OBS_ANSWER_PARTS_H
#define WEB_OBS_ANSWER_PARTS_H

#include "base/buf.h"
#include "web/obs_answer.h"

enum { OBS_NOTIFICATIONS_MAX = 10000 }; /* the server gives at most 1,000 */

/* Rows as they come: the last notification and its last pair. */
struct obs_rows {
    struct obs_answer *answer;
    struct obs_notification *notification;
    struct obs_pair *pair;
    bool has_next; /* the number was there */
};

/* Says what is wrong, unless something was before: the answer is refused, also
 * when reading goes on. Always false. */
bool obs_fail(struct obs_answer *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* False (obs_fail) when bytes are missing in b for want of memory: an answer
 * must not come shortened. */
bool obs_check_whole(struct obs_answer *a, const struct buf *b);

/* These copy what they are given; false (obs_fail) beyond the bounds. */
bool obs_add_notification(struct obs_rows *rows, struct span type,
                          struct span time);
bool obs_add_pair(struct obs_rows *rows, struct span key, struct span value,
                  bool is_json);
/* The fields of the whole, by name; others are passed over. */
bool obs_set_field(struct obs_rows *rows, const char *name, struct span value);

/* Each reads one view; text is UTF-8 (utf8_repair), and scratch space from
 * then on. False after obs_fail. */
bool obs_read_xml(struct obs_rows *rows, struct buf *text);
bool obs_read_json(struct obs_rows *rows, struct buf *text);

#endif
