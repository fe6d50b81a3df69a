/*
 * lane - one open connection to a relay: its life and its books.
 *
 * What is said on it is in lane_send.c, what is heard in lane_reply.c, its
 * socket and its clock in lane_watch.c. Here a lane is opened and ended, and
 * here are the letters in flight and the replies that will come.
 *
 * Nothing is sent from within an event: lanes queue, and their owner has one
 * turn at the end of the loop's round in which each is filled and flushed
 * with as few writes as can be.
 */
#include "smtp/lane.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static const char *const state_names[] = {
    [LANE_CONNECTING] = "connecting", [LANE_PROVING] = "proving",
    [LANE_READY] = "ready",           [LANE_SENDING] = "sending",
    [LANE_DRAINING] = "draining",     [LANE_QUITTING] = "quitting",
    [LANE_CLOSED] = "closed",
};

const char *lane_state_name(enum lane_state state)
{
    return state < LANE_STATES ? state_names[state] : "nowhere";
}

/* The only door between states. */
void lane_enter(struct lane *l, enum lane_state state)
{
    enum lane_state from = l->state;

    if (from == state) {
        return;
    }
    if (log_wants(LOG_LEVEL_DEBUG)) {
        log_debug("lane", "relay=%s lane=%d from=%s to=%s gear=%s letters=%u",
                  l->relay->settings.name, l->id, state_names[from],
                  state_names[state], gear_name(l->gear), l->letters);
    }
    l->state = state;
    l->ops->changed(l, from);
}

static unsigned power_of_two(unsigned least)
{
    unsigned size = 4;

    while (size < least) {
        size *= 2;
    }
    return size;
}

void lane_expect(struct lane *l, enum place place, unsigned flight)
{
    unsigned at = (l->expect_first + l->expect_count) & (l->expect_size - 1);

    if (l->expect_count == 0) {
        l->since_ms = clock_monotonic_ms();
    }
    l->expects[at] =
        (struct expect){.place = (uint8_t)place, .flight = (uint16_t)flight};
    l->expect_count++;
}

unsigned lane_flight_add(struct lane *l, const struct parcel *p, size_t size)
{
    unsigned at = (l->flight_first + l->flight_count) & (l->flight_size - 1);

    l->flights[at] = (struct flight){
        .letter = p->letter,
        .from = p->from,
        .to = p->to,
        .size = size,
        .needs_smtputf8 = p->needs_smtputf8,
        .needs_8bitmime = p->needs_8bitmime,
    };
    l->flight_count++;
    l->letters++;
    l->relay->in_flight++;
    if (l->state == LANE_READY) {
        lane_enter(l, LANE_SENDING);
    }
    return at;
}

void lane_flight_drop(struct lane *l)
{
    l->flight_first = (l->flight_first + 1) & (l->flight_size - 1);
    l->flight_count--;
    l->relay->in_flight--;
    lane_rest(l);
}

static void quit(struct lane *l)
{
    buf_puts(outbox_tail(&l->out), "QUIT\r\n");
    l->since_ms = clock_monotonic_ms();
    lane_enter(l, LANE_QUITTING);
    l->ops->wants_turn(l);
}

bool lane_is_spent(const struct lane *l, int64_t now_ms)
{
    int64_t age_ms = l->relay->settings.connection_age_ms;

    return (l->letters_max > 0 && l->letters >= l->letters_max) ||
           (age_ms > 0 && now_ms - l->opened_ms >= age_ms);
}

void lane_rest(struct lane *l)
{
    if (l->flight_count > 0 || l->expect_count > 0) {
        return;
    }
    if (l->state == LANE_DRAINING) {
        quit(l);
    } else if (l->state == LANE_SENDING) {
        lane_enter(l, LANE_READY);
        if (lane_is_spent(l, l->since_ms)) {
            lane_drain(l);
        }
    }
}

void lane_drain(struct lane *l)
{
    switch (l->state) {
    case LANE_CONNECTING:
    case LANE_PROVING: lane_end(l, ANSWER_LOST, "not needed any more"); break;
    case LANE_READY:
    case LANE_SENDING:
        lane_enter(l, LANE_DRAINING);
        lane_rest(l);
        break;
    case LANE_DRAINING:
    case LANE_QUITTING:
    case LANE_CLOSED:
    case LANE_STATES: break;
    }
}

enum given lane_given(const struct lane *l, const struct flight *f)
{
    if (f->content_end == 0 || l->out.gone <= f->content_from) {
        return GIVEN_NOTHING;
    }
    return l->out.gone >= f->content_end ? GIVEN_ALL : GIVEN_PART;
}

void lane_settle(struct lane *l, struct flight *f, const struct judgement *j,
                 const struct reply *reply, const char *text)
{
    char memory[REPLY_TEXT_MAX];
    struct outcome o = {.verdict = fate_verdict(j->fate)};

    if (f->is_settled) {
        return;
    }
    if (reply != NULL) {
        o.code = reply->code;
        memcpy(o.enhanced, reply->enhanced, sizeof(o.enhanced));
        o.suppress = j->suppress;
        o.text = reply_text(reply, memory);
        o.retry_after_s =
            j->fate == FATE_DEFERRED ? verdict_delay_s(o.text) : 0;
        l->was_useful = l->was_useful || j->scope == SCOPE_LETTER;
    } else {
        o.text = reply_escape(span_of(text), memory);
    }
    f->is_settled = true;
    l->ops->judged(l, f->letter, j, &o);
    f->letter = NULL;
}

enum place lane_open_place(const struct lane *l)
{
    return l->expect_count > 0 ? (enum place)l->expects[l->expect_first].place
                               : PLACE_IDLE;
}

void lane_end(struct lane *l, enum answer answer, const char *text)
{
    bool is_told = answer == ANSWER_CLOSING || l->state == LANE_QUITTING;
    unsigned count = l->flight_count;

    if (l->state == LANE_CLOSED) {
        return;
    }
    /* From here the lane is empty, whatever the owner does in a callback. */
    l->flight_count = 0;
    l->relay->in_flight -= count;
    ev_io_stop(l->loop, &l->io);
    if (count > 0 || answer != ANSWER_LOST) {
        log_debug("lane ends",
                  "relay=%s lane=%d place=\"%s\" letters=%u "
                  "why=\"%s\"",
                  l->relay->settings.name, l->id,
                  place_name(lane_open_place(l)), count, text);
    }
    for (unsigned i = 0; i < count; i++) {
        struct flight *f =
            &l->flights[(l->flight_first + i) & (l->flight_size - 1)];
        struct question q = {.place = PLACE_CONTENT,
                             .answer = answer,
                             .given = lane_given(l, f)};
        struct judgement j = verdict_judge(&q);

        if (!is_told && !f->is_settled) {
            l->ops->trouble(l, &j, text);
            is_told = true;
        }
        lane_settle(l, f, &j, NULL, text);
    }
    l->expect_count = 0;
    lane_enter(l, LANE_CLOSED);
    link_close(l->link);
    l->link = NULL;
}

struct lane *lane_open(struct relay *r, struct ev_loop *loop,
                       const struct lane_ops *ops, void *owner, char *rx,
                       size_t rx_size)
{
    static int last_id;
    struct lane *l = mem_calloc(1, sizeof(*l));

    l->id = ++last_id;
    l->relay = r;
    l->loop = loop;
    l->ops = ops;
    l->owner = owner;
    l->rx = rx;
    l->rx_size = rx_size;
    l->state = LANE_CONNECTING;
    l->flight_size = power_of_two((unsigned)r->settings.window_max + 2);
    l->flights = mem_calloc(l->flight_size, sizeof(*l->flights));
    l->expect_size = power_of_two(4 * l->flight_size + 8);
    l->expects = mem_calloc(l->expect_size, sizeof(*l->expects));
    outbox_init(&l->out, r->settings.letter_max + 2 * OUTBOX_FULL);
    reply_clear(&l->reply);
    ev_init(&l->io, lane_on_io);
    l->io.data = l;
    l->opened_ms = clock_monotonic_ms();
    l->since_ms = l->opened_ms;
    l->link = link_open(r->connector, &r->settings, lane_on_connected, l);
    return l;
}

void lane_free(struct lane *l)
{
    if (l == NULL) {
        return;
    }
    if (l->held != NULL) {
        outbox_recycle(&l->out, l->held);
    }
    outbox_release(&l->out);
    mem_free(l->flights);
    mem_free(l->expects);
    mem_free(l);
}
