/*
 * model - the nouns. Read this first.
 *
 *     event      something that happened: a type and a JSON payload
 *     recipient  a person or a group address that can be written to
 *     letter     one mail for one recipient about one or more events
 *     batch      up to 500 letters: leased, rendered, sent and settled as one
 *     outcome    what became of a letter: a verdict and the words behind it
 *     report     what a person should know, once for its cause
 *
 * Ownership: a batch owns an arena, and the arena owns every recipient, event
 * and letter of the batch with all their bytes; the one exception is
 * event.parsed, which belongs to the mail room. A letter's outcome is written
 * once, by whoever ends it. When the batch is settled it is freed whole.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/span.h"

/* What became of a letter. The numbers are stored in the ledger. */
enum verdict {
    VERDICT_NONE = 0, /* not yet known */
    VERDICT_SENT = 1, /* the relay took responsibility: 2yz to the content */
    VERDICT_DEFERRED = 2, /* refused for now: tried again later */
    VERDICT_FAILED = 3,   /* refused for good, or given up */
    VERDICT_UNSURE = 4,   /* content given, reply not seen (RFC 1047) */
    VERDICT_SKIPPED = 5,  /* not sent on purpose; the text says why */
    VERDICT_RESENT = 6,   /* a person asked for it again: see the later row */
};
/* "sent", "deferred", ...; never NULL. */
const char *verdict_name(enum verdict verdict);

/* What goes first when both wait. Stored with event and batch. */
enum urgency { URGENCY_URGENT = 1, URGENCY_NORMAL = 2, URGENCY_BULK = 3 };
/* "urgent", "normal", "bulk". */
const char *urgency_name(enum urgency urgency);
/* False when name is none of them. */
bool urgency_parse(struct span name, enum urgency *out);

/* What a recipient wants for a type and role. */
enum frequency {
    FREQUENCY_OFF,
    FREQUENCY_INSTANT,
    FREQUENCY_HOURLY,
    FREQUENCY_DAILY,
    FREQUENCY_WEEKLY,
};
const char *frequency_name(enum frequency frequency);
bool frequency_parse(struct span name, enum frequency *out);

enum { OUTCOME_TEXT_MAX = 512 };

struct outcome {
    enum verdict verdict;
    int code;          /* SMTP reply code, 0 where no reply was seen */
    int enhanced[3];   /* RFC 3463 class.subject.detail; 0.0.0 = none */
    bool suppress;     /* the address itself is dead: RFC 3463 x.1.z */
    int retry_after_s; /* delay the relay asked for; 0 = none named */
    struct span text;  /* reply text or our reason; control bytes escaped */
};

struct recipient {
    int64_t id;
    struct span email;  /* as stored, not yet validated */
    struct span name;   /* display name; may be empty */
    struct span locale; /* may be empty */
    bool is_active;
    bool is_found;          /* its row is there */
    bool is_beyond_budget;  /* its row did not fit into memory: try again */
    struct span suppressed; /* why it must not be written to; empty = it may */
};

struct event {
    int64_t id;
    int64_t created_us; /* microseconds since 1970-01-01 UTC */
    struct span type;
    struct span payload;   /* JSON text; ptr NULL = not here, see below */
    bool is_beyond_budget; /* not fetched for want of memory: try again */
    uint32_t letters_left; /* of its batch, that were not composed yet */
    void *parsed;      /* owned by the mail room; NULL until it has looked */
    bool was_prepared; /* once: its drift was told, its note written */
    bool is_poison;    /* set aside: leave it out of every letter */
    bool is_told;      /* the log has a line about its poison */
    struct span poison_stage;  /* valid when is_poison: "render", ... */
    struct span poison_reason; /* valid when is_poison; owned by the arena */
    struct span note; /* what was cut or repaired to mail it, in words, for the
                         ledger; usually empty; owned by the arena */
};

struct batch;

struct letter {
    struct list_node node; /* in the queue of letters that wait for a lane */
    struct batch *batch;
    struct recipient *recipient; /* NULL when its row is gone */
    struct event **events;       /* oldest first; NULL entries are not stored */
    uint32_t event_count;        /* at least 1 */
    int role;                    /* id of the role that won; 0 = none */
    int64_t recipient_id;        /* also when its row is gone */
    struct outcome outcome;
    bool is_requeued;  /* goes into a new batch when this one is settled */
    bool is_counted;   /* the try counts: attempt + 1 */
    int64_t due_in_ms; /* valid when is_requeued: from the time of settling */
};

struct batch {
    struct list_node node;   /* in the engine's list of its state */
    struct list_node leased; /* in the store's list of what we hold */
    bool is_lost;            /* somebody else has it: start no more letters */
    bool is_renewing;        /* a renewal that names it is under way */
    int64_t id;
    int64_t origin; /* the batch that first held these letters; names them */
    int64_t epoch;  /* fence: settling must name it */
    int64_t claimed_epoch; /* the epoch it was taken over from; 0 = leased */
    int attempt;           /* 0 = first */
    enum urgency urgency;
    int64_t routed_us; /* when the origin batch was routed */
    struct arena arena;
    struct letter *letters;
    uint32_t letter_count;
    uint32_t open_count;   /* letters without a decision */
    struct event **events; /* every event of the batch once */
    uint32_t event_count;
    size_t payload_bytes; /* of all its events; for the store's budget */
    void *record;         /* owned by the engine: its place in the journal */
};

/* What a person should know. All events that fail for one reason are one
 * cause: whoever meets it, on whatever host, calls it the same. Texts are
 * UTF-8. */
struct report {
    const char *cause;        /* "drift/ServiceSuccess/comment" */
    const char *kind;         /* as an exception class: "UnlistedKey" */
    const char *severity;     /* "error" or "warning" */
    const char *component;    /* what part of Postbatch */
    const char *action;       /* at what it was: a type, a relay */
    const char *message;      /* the same each time: trackers group by it */
    const char *over_message; /* to be told when it is over; may be NULL */
    const char *file;         /* a template or contract, maybe with ":line";
                                 may be NULL */
    const char *params;       /* a JSON object: what varies */
    bool lasts;               /* a state that ends; else it happens again */
    bool is_over;             /* the state has ended: message says so */
    int64_t count;            /* how often it happened */
    int64_t first_us;         /* microseconds since 1970 */
    int64_t last_us;
};

#endif
