/*
 * lane_watch - the socket and the clock of a lane.
 *
 * Reading never stops while output waits, or a relay that waits for us to
 * read would wait for ever. Progress is a whole reply or bytes that were
 * taken, so a relay that drips single bytes runs into its timeout.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/lane.h"

enum {
    READS_MAX = 16,          /* a round, so that no lane starves the others */
    PROVE_MAX_MS = 20 * 1000 /* a relay that stalls on a refused chunk */
};

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

    snprintf(text, sizeof(text), "%s at %s", what,
             place_name(lane_open_place(l)));
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

void lane_on_io(struct ev_loop *loop, ev_io *io, int events)
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

void lane_on_connected(void *ctx, struct link *link,
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
    switch (lane_open_place(l)) {
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

    if (lane_is_spent(l, now_ms) || (is_idle && is_extra)) {
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
