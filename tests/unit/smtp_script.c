/*
 * smtp_script - a relay inside a test.
 *
 * A plain SMTP server: one step a command or a piece of content. At each
 * place it asks first whether a fault is to happen there.
 */
#include "smtp_script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

struct script_conn {
    struct script *s;
    ev_io io;
    ev_timer pace;
    struct buf in;
    struct buf out;
    int letter;
    int rcpts;
    int to[8];
    int letters;
    bool has_mail;
    bool in_data;
    bool is_stalled;
    bool closes; /* when out is empty */
    size_t bdat_left;
    bool bdat_refused;
    bool in_bdat;
};

static void script_close(struct script_conn *c)
{
    ev_io_stop(c->s->loop, &c->io);
    ev_timer_stop(c->s->loop, &c->pace);
    close(c->io.fd);
    c->s->open--;
    buf_release(&c->in);
    buf_release(&c->out);
    free(c);
}

static void script_say(struct script_conn *c, const char *text)
{
    if (!c->is_stalled) {
        buf_puts(&c->out, text);
    }
    if (!ev_is_active(&c->pace)) {
        ev_timer_set(&c->pace, c->s->delay_ms / 1000.0, 0.0);
        ev_timer_start(c->s->loop, &c->pace);
    }
}

static void script_pace(struct ev_loop *loop, ev_timer *w, int events)
{
    struct script_conn *c = w->data;
    size_t n = c->out.len;
    ssize_t done = 0;

    (void)events;
    n = c->s->chunk > 0 && c->s->chunk < n ? c->s->chunk : n;
    done = n > 0 ? send(c->io.fd, c->out.data, n, MSG_NOSIGNAL) : 0;
    if (done > 0) {
        memmove(c->out.data, c->out.data + done, c->out.len - (size_t)done);
        c->out.len -= (size_t)done;
    }
    if (c->out.len > 0 && (done >= 0 || errno == EAGAIN)) {
        ev_timer_set(w, 0.0, 0.0);
        ev_timer_start(loop, w);
    } else if (c->closes) {
        script_close(c);
    }
}

static struct fault *script_fault(struct script_conn *c,
                                  enum script_place place)
{
    for (size_t i = 0; i < c->s->fault_count; i++) {
        struct fault *f = &c->s->faults[i];

        if (f->place == place && f->times >= 0 &&
            (f->letter == -1 || f->letter == c->letter)) {
            if (f->times > 0 && --f->times == 0) {
                f->times = -1;
            }
            return f;
        }
    }
    return NULL;
}

/* True when the fault has dealt with the place. */
static bool script_misbehave(struct script_conn *c, enum script_place place,
                             const char *usual, bool *is_refused)
{
    struct fault *f = script_fault(c, place);

    *is_refused = false;
    if (f == NULL) {
        return false;
    }
    switch (f->act) {
    case DO_REPLY:
        *is_refused = f->text[0] >= '4';
        script_say(c, f->text);
        return true;
    case DO_REPLY_CLOSE:
        *is_refused = true;
        script_say(c, f->text);
        c->closes = true;
        return true;
    case DO_ACCEPT_DROP:
    case DO_DROP:
        *is_refused = f->act == DO_DROP;
        c->out.len = 0;
        c->is_stalled = true;
        c->closes = true;
        script_say(c, "");
        return true;
    case DO_STALL:
        *is_refused = true;
        c->is_stalled = true;
        return true;
    case DO_EXTRA:
        script_say(c, usual);
        script_say(c, f->text);
        return true;
    }
    return false;
}

static void script_reset(struct script_conn *c)
{
    c->has_mail = false;
    c->rcpts = 0;
}

static void script_accept_letter(struct script_conn *c)
{
    c->s->strays += c->rcpts > 1;
    for (int i = 0; i < c->rcpts; i++) {
        c->s->arrived[c->to[i]]++;
    }
    c->letters++;
}

/* The content is complete. */
static void script_content(struct script_conn *c, bool is_bdat)
{
    bool is_refused = false;

    if (c->rcpts == 0 || c->bdat_refused) {
        script_say(c, "554 5.5.1 no valid recipients\r\n");
        is_refused = true;
    } else {
        /* The letter is the one whose recipient came last. */
        c->letter = c->to[c->rcpts - 1];
        if (!script_misbehave(c, ON_CONTENT, "250 2.0.0 Ok: queued\r\n",
                              &is_refused)) {
            script_say(c, "250 2.0.0 Ok: queued\r\n");
        }
        if (!is_refused) {
            script_accept_letter(c);
        }
    }
    if (!is_refused || !is_bdat || !c->s->keeps_refused) {
        script_reset(c);
    }
    if (c->s->close_idle_after > 0 &&
        c->letters % c->s->close_idle_after == 0 && !is_refused) {
        script_say(c, "421 4.4.2 idle too long\r\n");
        c->closes = true;
    }
}

static int script_number(const char *line, const char *before)
{
    const char *at = strstr(line, before);

    return at != NULL ? atoi(at + strlen(before)) : -1;
}

static void script_mail(struct script_conn *c, const char *line)
{
    bool is_refused = false;

    c->letter = script_number(line, ":<f");
    if (c->s->mail_421_after > 0 && c->letters >= c->s->mail_421_after) {
        script_say(c, "421 4.7.0 enough\r\n");
        c->closes = true;
        return;
    }
    if (c->has_mail) {
        script_say(c, "503 5.5.1 nested MAIL\r\n");
        return;
    }
    if (!script_misbehave(c, ON_MAIL, "250 2.1.0 Ok\r\n", &is_refused)) {
        script_say(c, "250 2.1.0 Ok\r\n");
    }
    c->has_mail = !is_refused;
}

static void script_rcpt(struct script_conn *c, const char *line)
{
    bool is_refused = false;

    c->letter = script_number(line, ":<t");
    if (!c->has_mail) {
        script_say(c, "503 5.5.1 need MAIL\r\n");
        return;
    }
    if (!script_misbehave(c, ON_RCPT, "250 2.1.5 Ok\r\n", &is_refused)) {
        script_say(c, "250 2.1.5 Ok\r\n");
    }
    if (!is_refused && c->rcpts < 8) {
        c->to[c->rcpts++] = c->letter;
    }
}

static void script_data(struct script_conn *c)
{
    bool is_refused = false;

    if (c->rcpts == 0 && strstr(c->s->offers, "LAX") == NULL) {
        script_say(c, "503 5.5.1 need RCPT\r\n");
        return;
    }
    if (c->rcpts > 0) {
        c->letter = c->to[c->rcpts - 1];
    }
    if (!script_misbehave(c, ON_DATA, "354 go on\r\n", &is_refused)) {
        script_say(c, "354 go on\r\n");
    }
    c->in_data = !is_refused;
}

static void script_bdat(struct script_conn *c, const char *line)
{
    size_t size = (size_t)atol(line + 5);

    c->s->bdats++;
    c->bdat_refused = c->rcpts == 0;
    if (c->bdat_refused && c->s->does_not_swallow) {
        script_say(c, "503 5.5.1 need RCPT\r\n");
        return;
    }
    c->bdat_left = size;
    c->in_bdat = true;
}

static void script_ehlo(struct script_conn *c)
{
    char line[128];
    const char *at = c->s->offers;

    script_say(c, "250-script.test\r\n");
    while (*at != '\0') {
        size_t len = strcspn(at, "|");

        snprintf(line, sizeof(line), "250-%.*s\r\n", (int)len, at);
        script_say(c, line);
        at += len + (at[len] == '|');
    }
    script_say(c, "250 ENHANCEDSTATUSCODES\r\n");
}

static void script_command(struct script_conn *c, const char *line)
{
    if (strncmp(line, "EHLO", 4) == 0) {
        script_ehlo(c);
    } else if (strncmp(line, "AUTH", 4) == 0) {
        script_say(c, strstr(line, "AGdvb2QAZ29vZA==") != NULL
                          ? "235 2.7.0 welcome\r\n"
                          : "535 5.7.8 bad credentials\r\n");
    } else if (strncmp(line, "MAIL", 4) == 0) {
        script_mail(c, line);
    } else if (strncmp(line, "RCPT", 4) == 0) {
        script_rcpt(c, line);
    } else if (strncmp(line, "DATA", 4) == 0) {
        script_data(c);
    } else if (strncmp(line, "BDAT", 4) == 0) {
        script_bdat(c, line);
    } else if (strncmp(line, "RSET", 4) == 0) {
        c->s->rsets++;
        script_reset(c);
        script_say(c, "250 2.0.0 Ok\r\n");
    } else if (strncmp(line, "QUIT", 4) == 0) {
        if (!c->s->is_mute_to_quit) {
            script_say(c, "221 2.0.0 Bye\r\n");
            c->closes = true;
        }
    } else {
        script_say(c, "500 5.5.2 unknown command\r\n");
    }
}

/* One step on the bytes that are there; how many it used, 0 = needs more. */
static size_t script_step(struct script_conn *c, char *at, size_t len)
{
    char *end = NULL;
    size_t n = 0;

    if (c->in_bdat) {
        n = len < c->bdat_left ? len : c->bdat_left;
        c->bdat_left -= n;
        if (c->bdat_left == 0) {
            c->in_bdat = false;
            script_content(c, true);
            n += n == 0;
        }
        return n;
    }
    end = memchr(at, '\n', len);
    if (end == NULL) {
        return 0;
    }
    n = (size_t)(end - at) + 1;
    if (c->in_data) {
        if (n == 3 && memcmp(at, ".\r\n", 3) == 0) {
            c->in_data = false;
            script_content(c, false);
        }
    } else {
        char line[1024];

        snprintf(line, sizeof(line), "%.*s", (int)n, at);
        script_command(c, line);
    }
    return n;
}

static void script_read(struct ev_loop *loop, ev_io *io, int events)
{
    struct script_conn *c = io->data;
    char bytes[65536];
    ssize_t n = recv(io->fd, bytes, sizeof(bytes), 0);
    size_t at = 0;
    int mails = 0;

    (void)loop;
    (void)events;
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        script_close(c);
        return;
    }
    c->s->bytes += (uint64_t)n;
    buf_put(&c->in, bytes, (size_t)n);
    while (at < c->in.len && !c->closes && !c->is_stalled) {
        size_t used = script_step(c, c->in.data + at, c->in.len - at);

        mails += used > 4 && strncmp(c->in.data + at, "MAIL", 4) == 0;
        if (used == 0) {
            break;
        }
        at += used;
    }
    c->s->groups_max = mails > c->s->groups_max ? mails : c->s->groups_max;
    if (c->closes || c->is_stalled) {
        at = c->in.len;
    }
    memmove(c->in.data, c->in.data + at, c->in.len - at);
    c->in.len -= at;
}

static void script_accept(struct ev_loop *loop, ev_io *io, int events)
{
    struct script *s = io->data;
    struct script_conn *c = calloc(1, sizeof(*c));
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int one = 1;

    (void)events;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    s->connections++;
    s->open++;
    c->s = s;
    buf_init(&c->in, 0);
    buf_init(&c->out, 0);
    ev_io_init(&c->io, script_read, fd, EV_READ);
    ev_init(&c->pace, script_pace);
    c->io.data = c;
    c->pace.data = c;
    ev_io_start(loop, &c->io);
    if (s->refuse_after > 0 && s->connections > s->refuse_after) {
        script_say(c, "421 4.7.0 too many connections\r\n");
        c->closes = true;
        return;
    }
    script_say(c, s->greeting ? s->greeting : "220 script.test ESMTP\r\n");
}

void script_start(struct script *s, struct ev_loop *loop, const char *offers)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *s = (struct script){.loop = loop, .offers = offers};
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
        listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &len) != 0) {
        abort();
    }
    s->port = ntohs(sin.sin_port);
    ev_io_init(&s->accept, script_accept, fd, EV_READ);
    s->accept.data = s;
    ev_io_start(loop, &s->accept);
}

void script_stop(struct script *s)
{
    ev_io_stop(s->loop, &s->accept);
    close(s->accept.fd);
}
