/*
 * obs_answer - what the source server of the Open Build Service answers to
 * GET /lastnotifications, as plain rows.
 *
 *     <notifications next="4712" sync="lost" limit_reached="1">
 *       <notification type="SRCSRV_COMMIT" time="1513240000">
 *         <data key="package">hello</data>
 *         <data key="comment"/>
 *       </notification>
 *     </notifications>
 *
 * view=json has the same names: "notification" is a list, "data" an object.
 * A key without content has the empty text.
 *
 * What comes is not trusted: a document type declaration is refused, so that
 * there are no entities; depth, number and memory are bounded; bytes that are
 * not UTF-8, and control characters, become U+FFFD, so that one notification
 * with odd text does not make all of an answer unreadable.
 */
#ifndef WEB_OBS_ANSWER_H
#define WEB_OBS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

enum obs_view { OBS_VIEW_XML, OBS_VIEW_JSON };

struct obs_pair {
    struct span key;
    struct span value;
    bool is_json; /* value is the text of a JSON list or object */
    struct obs_pair *next;
};

struct obs_notification {
    struct span type;       /* as it comes: "SRCSRV_COMMIT"; may be empty */
    int64_t time_s;         /* since 1970; 0 = not told, or no number */
    struct obs_pair *pairs; /* in their order; of equal keys the last counts */
    struct obs_notification *next;
};

struct obs_answer {
    int64_t next; /* number of the first notification that is not here */
    bool is_sync_lost;
    bool is_limit_reached;
    struct obs_notification *first; /* in their order */
    size_t count;
    char error[256]; /* why it could not be read: where, what was expected */

    struct arena arena; /* owns all of the above */
    size_t memory_max;
};

/* Empty. memory_max bounds what reading one answer may take for its rows. */
void obs_answer_init(struct obs_answer *a, size_t memory_max);
void obs_answer_release(struct obs_answer *a);

/* Reads a whole answer in place of the one before. False with the reason in
 * a->error; then there are no rows. */
bool obs_answer_read(struct obs_answer *a, enum obs_view view,
                     struct span body);

#endif
