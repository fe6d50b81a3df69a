/*
 * lane - one open connection to a relay: its life, its clock, its socket.
 *
 * What is said on it is in lane_send.c, what is heard in lane_reply.c. Here
 * a lane is opened, watched and ended. Reading never stops while output
 * waits, or a relay that waits for us to read would wait for ever.
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

enum {
    READS_MAX = 16,          /* a round, so that no lane starves the others */
    PROVE_MAX_MS = 20 * 1000 /* a relay that stalls on a refused chunk */
};

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

static bool is_spent(const struct lane *l, int64_t now_ms)
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
        if (is_spent(l, l->since_ms)) {
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

/* What the relay was asked last, for words: the oldest open question. */
static enum place open_place(const struct lane *l)
{
    return l->expect_count > 0
               ? (enum place)l->expects[l->expect_first].place
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
        log_debug("lane ends", "relay=%s lane=%d place=\"%s\" letters=%u "
                  "why=\"%s\"",
                  l->relay->settings.name, l->id, place_name(open_place(l)),
                  count, text);
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

static void watch(struct lane *l)
{
    int events = EV_READ | (l->is_blocked ? EV_WRITE : 0);

    if (l->io.events != events || !ev_is_active(&l->io)) {
        ev_io_stop(l->loop, &l->io);
        ev_io_set(&l->io, link_fd(l->link), events);
        ev_io_start(l->loop, &l->io);
    }
}

static void end_with_place(struct lane *l, enum answer answer, const char *what)
{
    char text[256];

    snprintf(text, sizeof(text), "%s at %s", what, place_name(open_place(l)));
    if (l->state == LANE_PROVING) {
        relay_demote(l->relay, GEAR_STREAMED, clock_monotonic_ms(),
                     "fails at a refused chunk");
    } else if (l->gear == GEAR_STREAMED && answer == ANSWER_TIMEOUT) {
        relay_demote(l->relay, GEAR_STREAMED, clock_monotonic_ms(), "stalls");
    }
    lane_end(l, answer, text);
}

/* Reads until the connection has no more, or for long enough. */
static void read_replies(struct lane *l)
{
    size_t count = 0;

    for (int i = 0; i < READS_MAX && l->state != LANE_CLOSED; i++) {
        switch (link_recv(l->link, l->rx, l->rx_size, &count)) {
        case LINK_OK:
            l->relay->counts.bytes_in += count;
            lane_hear(l, l->rx, count);
            if (l->state != LANE_CLOSED && count < l->rx_size &&
                !link_is_tls(l->link)) {
                return;
            }
            break;
        case LINK_AGAIN: return;
        case LINK_CLOSED:
            end_with_place(l, ANSWER_LOST, "connection closed by the relay");
            return;
        case LINK_ERROR: {
            char what[160];

            snprintf(what, sizeof(what), "connection lost (%.100s)",
                     link_error(l->link));
            end_with_place(l, ANSWER_LOST, what);
            return;
        }
        }
    }
    if (l->state != LANE_CLOSED) {
        ev_feed_event(l->loop, &l->io, EV_READ);
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct lane *l = io->data;

    (void)loop;
    if (events & EV_WRITE) {
        l->is_blocked = false;
        l->ops->wants_turn(l);
    }
    if (events & EV_READ) {
        read_replies(l);
    }
    if (l->state != LANE_CLOSED && lane_has_room(l)) {
        l->ops->wants_turn(l);
    }
}

void lane_flush(struct lane *l)
{
    size_t moved = 0;

    if (l->link == NULL || l->is_blocked || outbox_pending(&l->out) == 0 ||
        l->state == LANE_CONNECTING) {
        return;
    }
    switch (outbox_flush(&l->out, l->link, &moved)) {
    case LINK_OK: break;
    case LINK_AGAIN: l->is_blocked = true; break;
    case LINK_CLOSED:
    case LINK_ERROR:
        /* The relay may have said why before it closed. */
        read_replies(l);
        if (l->state != LANE_CLOSED) {
            end_with_place(l, ANSWER_LOST, "connection lost");
        }
        break;
    }
    l->relay->counts.bytes_out += moved;
    if (l->state == LANE_CLOSED) {
        return;
    }
    if (moved > 0) {
        l->since_ms = clock_monotonic_ms();
    }
    watch(l);
}

/* The connection is made. */
static void begin(struct lane *l, const struct link_result *result)
{
    struct relay *r = l->relay;
    unsigned own_max = (unsigned)r->settings.messages_per_connection;

    r->ehlo = result->ehlo;
    r->is_known = true;
    r->counts.connections++;
    l->letters_max = own_max;
    if (result->ehlo.mail_max > 0 &&
        (own_max == 0 || result->ehlo.mail_max < own_max)) {
        l->letters_max = result->ehlo.mail_max;
    }
    l->opened_ms = clock_monotonic_ms();
    l->since_ms = l->opened_ms;
    l->gear = relay_gear(r, &result->ehlo, l->opened_ms);
    if (l->gear == GEAR_STREAMED && r->settings.gear == GEAR_AUTO &&
        !r->gears.is_proven) {
        lane_enter(l, LANE_PROVING);
        lane_prove(l);
    } else {
        lane_enter(l, LANE_READY);
    }
    watch(l);
    /* The first receive ties the connection to its handle (connect.c). */
    read_replies(l);
    if (l->state != LANE_CLOSED) {
        l->ops->wants_turn(l);
    }
}

static void on_connected(void *ctx, struct link *link,
                         const struct link_result *result)
{
    struct lane *l = ctx;

    (void)link;
    if (result->is_ok) {
        begin(l, result);
        return;
    }
    l->relay->counts.connect_failures++;
    l->ops->connect_failed(l, result);
    lane_end(l, ANSWER_LOST, result->text);
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
    ev_init(&l->io, on_io);
    l->io.data = l;
    l->opened_ms = clock_monotonic_ms();
    l->since_ms = l->opened_ms;
    l->link = link_open(r->connector, &r->settings, on_connected, l);
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

/* How long the oldest open question may stay open. */
static int64_t patience_ms(const struct lane *l)
{
    const struct relay_timeouts *t = &l->relay->settings.timeouts;

    if (l->state == LANE_PROVING) {
        return t->command_ms < PROVE_MAX_MS ? t->command_ms : PROVE_MAX_MS;
    }
    if (l->is_blocked) {
        return t->block_ms;
    }
    switch (open_place(l)) {
    case PLACE_DATA: return t->data_ms;
    case PLACE_CONTENT: return t->dot_ms;
    case PLACE_GREETING:
    case PLACE_EHLO:
    case PLACE_STARTTLS:
    case PLACE_AUTH:
    case PLACE_MAIL:
    case PLACE_RCPT:
    case PLACE_RSET:
    case PLACE_IDLE:
    case PLACE_COUNT: return t->command_ms;
    }
    return t->command_ms;
}

static void tick_connecting(struct lane *l, int64_t now_ms)
{
    struct link_result result = {.place = PLACE_GREETING,
                                 .answer = ANSWER_TIMEOUT};

    if (!link_in_time(l->link, now_ms, result.text, sizeof(result.text))) {
        l->relay->counts.connect_failures++;
        l->ops->connect_failed(l, &result);
        lane_end(l, ANSWER_LOST, result.text);
    }
}

/* Lanes that are open beyond what must stay open go when they are idle. */
static void tick_ready(struct lane *l, int64_t now_ms)
{
    bool is_idle = now_ms - l->since_ms >= l->relay->settings.idle_ms;
    bool is_extra = l->relay->lanes_live > l->relay->settings.lanes_min;

    if (is_spent(l, now_ms) || (is_idle && is_extra)) {
        lane_drain(l);
    }
}

static void tick_waiting(struct lane *l, int64_t now_ms)
{
    if ((l->expect_count > 0 || l->is_blocked) &&
        now_ms - l->since_ms > patience_ms(l)) {
        end_with_place(l, ANSWER_TIMEOUT, "no answer in time");
    }
}

void lane_tick(struct lane *l, int64_t now_ms)
{
    switch (l->state) {
    case LANE_CONNECTING: tick_connecting(l, now_ms); break;
    case LANE_PROVING:
    case LANE_SENDING:
    case LANE_DRAINING: tick_waiting(l, now_ms); break;
    case LANE_READY: tick_ready(l, now_ms); break;
    case LANE_QUITTING:
        if (now_ms - l->since_ms > l->relay->settings.timeouts.quit_ms) {
            lane_end(l, ANSWER_LOST, "no answer to QUIT");
        }
        break;
    case LANE_CLOSED:
    case LANE_STATES: break;
    }
}
