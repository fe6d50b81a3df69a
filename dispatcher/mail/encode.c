/*
 * encode - bodies: the choice of encoding, and quoted-printable.
 *
 * Quoted-printable is the hot path of the whole program, so it works on 16
 * bytes at a time: a run of plain bytes is copied whole, and only what is
 * not plain (line ends, tabs, "=", bytes outside ASCII) is looked at alone.
 * Output goes straight into the buf's memory: the pass that chooses the
 * encoding also bounds what it can take, so that there is one check of the
 * room before the loop and none in it.
 *
 *     column      bytes written since the last CRLF, hard or soft
 *     hard end    CRLF, a line end of the text
 *     soft end    "=" CRLF, which decoders take out again
 *
 * A line is filled to 75 columns, which leaves one for the "=" of a soft end;
 * the 76th is taken only by a plain byte right before a hard end.
 */
#include "mail/encode.h"

#include "mail/chars.h"
#include "mail/steps.h"

enum {
    QP_FILL = ENCODE_LINE - 1, /* all but the place of a soft "=" */
};

static const char *const transfer_names[] = {
    [ENCODE_QP] = "quoted-printable",
    [ENCODE_BASE64] = "base64",
};

const char *encode_transfer_name(enum encode_transfer transfer)
{
    return transfer_names[transfer];
}

/* --- sixteen bytes at a time -------------------------------------------- */

/* Marks the bytes that are not plain: outside 32 to 126, or "=". */
static inline step_bytes not_plain(step_bytes bytes)
{
    return (step_bytes)((bytes - ' ' > '~' - ' ') | (bytes == '='));
}

static inline bool is_plain(char c)
{
    return c != '=' && !(char_classes(c) & (CHAR_CONTROL | CHAR_HIGH));
}

struct tally {
    size_t hard; /* bytes that are not plain, line ends too */
    size_t ends; /* LF among them */
};

static size_t sum_of(step_bytes bytes)
{
    size_t sum = 0;

    for (size_t i = 0; i < STEP; i++) {
        sum += bytes[i];
    }
    return sum;
}

/* At most 255 steps, so that no byte of the sums overflows. */
static const char *tally_steps(struct tally *t, const char *at, size_t steps)
{
    step_bytes hard = {0};
    step_bytes ends = {0};

    for (; steps > 0; steps--, at += STEP) {
        step_bytes bytes = step_load(at);

        hard -= not_plain(bytes);
        ends -= (step_bytes)(bytes == '\n');
    }
    t->hard += sum_of(hard);
    t->ends += sum_of(ends);
    return at;
}

static struct tally tally_of(struct span text)
{
    struct tally t = {0, 0};
    const char *at = text.ptr;
    const char *const end = text.len > 0 ? at + text.len : at;

    while (end - at >= STEP) {
        size_t steps = (size_t)(end - at) / STEP;

        at = tally_steps(&t, at, steps < 255 ? steps : 255);
    }
    for (; at < end; at++) {
        t.hard += !is_plain(*at);
        t.ends += *at == '\n';
    }
    return t;
}

/*
 * The most bytes that encode_qp writes. A hard byte is worst as NUL or as an
 * ill-formed byte, "=EF=BF=BD"; a line end is no more with all it entails: an
 * encoded blank before it and an encoded dot behind it. A soft end with an
 * encoded dot behind it adds 5 to every 71 bytes. The rest is for the ends of
 * the text, and for the bytes that copy_plain writes too many.
 */
static size_t room_for(size_t length, struct tally t)
{
    size_t bytes = length + 8 * t.hard;

    return bytes + bytes / 14 + 16 + STEP;
}

struct encode_plan encode_plan(struct span text)
{
    struct tally t = tally_of(text);
    /* Two more bytes for each "=XX"; the rest is not worth counting. */
    size_t length = text.len + 2 * (t.hard - t.ends);
    bool is_short = length <= text.len + 2 * text.len / 5;

    return (struct encode_plan){
        .transfer = is_short ? ENCODE_QP : ENCODE_BASE64,
        .qp_room = room_for(text.len, t),
    };
}

/* --- quoted-printable --------------------------------------------------- */

struct qp {
    const char *at; /* next byte of the text */
    const char *end;
    char *to;   /* next byte of the output */
    char *line; /* where its line begins */
};

static inline size_t column(const struct qp *q)
{
    return (size_t)(q->to - q->line);
}

static inline void end_line(struct qp *q)
{
    *q->to++ = '\r';
    *q->to++ = '\n';
    q->line = q->to;
}

static void end_line_softly(struct qp *q)
{
    *q->to++ = '=';
    end_line(q);
}

static void put_escape(struct qp *q, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;

    if (column(q) + 3 > QP_FILL) {
        end_line_softly(q);
    }
    q->to[0] = '=';
    q->to[1] = digits[byte >> 4];
    q->to[2] = digits[byte & 15];
    q->to += 3;
}

/* What must not stand at the beginning of a line, even after a soft end. */
static inline void put_line_start(struct qp *q)
{
    if (*q->at == '.' || (*q->at == 'F' && q->end - q->at >= 5 &&
                          memcmp(q->at, "From ", 5) == 0)) {
        put_escape(q, *q->at++);
    }
}

/* Copies plain bytes until one is not plain or most bytes are copied.
 * Writes up to STEP bytes of rubbish behind them, for which there is room. */
static inline size_t copy_plain(char *to, const char *at, const char *end,
                                size_t most)
{
    size_t done = 0;

    while (done < most && end - at >= STEP) {
        size_t plain = step_before(not_plain(step_load(at)));

        memcpy(to + done, at, STEP);
        done += plain;
        at += STEP;
        if (plain < STEP) {
            return done < most ? done : most;
        }
    }
    while (done < most && at < end && is_plain(*at)) {
        to[done++] = *at++;
    }
    return done < most ? done : most;
}

static inline bool is_at_hard_end(const struct qp *q)
{
    return q->at == q->end || *q->at == '\n' || *q->at == '\r';
}

/* Plain bytes to the end of the line, of their run or of the text. True when
 * it ended the line softly, so that a new one begins. */
static inline bool put_plain(struct qp *q)
{
    size_t most = QP_FILL - column(q);
    size_t copied = copy_plain(q->to, q->at, q->end, most + 1);

    q->at += copied;
    q->to += copied;
    if (copied <= most || is_at_hard_end(q)) {
        return false;
    }
    q->at--;
    q->to--;
    end_line_softly(q);
    return true;
}

/* A blank at the end of a line would be lost on the way (RFC 2045 §6.7 (3)),
 * so the last one is encoded after all. */
static inline void put_hard_end(struct qp *q)
{
    char last = q->to > q->line ? q->to[-1] : '\0';

    if (last == ' ' || last == '\t') {
        q->to--;
        put_escape(q, last);
    }
    end_line(q);
}

static void put_character(struct qp *q)
{
    bool ok = true;
    size_t length = utf8_length(q->at, q->end, &ok);
    struct span bytes = text_character(q->at, length, ok);

    q->at += length;
    for (size_t i = 0; i < bytes.len; i++) {
        put_escape(q, bytes.ptr[i]);
    }
}

/* The byte or character at q->at, which is not plain. */
static inline void put_special(struct qp *q)
{
    char c = *q->at;

    if (c == '\n' || c == '\r') {
        put_hard_end(q);
        q->at += text_line_end(q->at, q->end);
    } else if (c == '\t' && column(q) < QP_FILL) {
        *q->to++ = *q->at++;
    } else if ((signed char)c > 0) {
        put_escape(q, *q->at++);
    } else {
        put_character(q);
    }
}

static void put_qp(struct buf *out, struct span text)
{
    struct qp q = {
        .at = text.ptr,
        .end = text.ptr + text.len,
        .to = out->data + out->len,
        .line = out->data + out->len,
    };

    while (q.at < q.end) {
        if (q.to == q.line) {
            put_line_start(&q);
        }
        if (!put_plain(&q) && q.at < q.end) {
            put_special(&q);
        }
    }
    if (q.to > q.line) {
        put_hard_end(&q);
    }
    out->len = (size_t)(q.to - out->data);
}

/* --- bodies ------------------------------------------------------------- */

void encode_body(struct buf *out, struct span text,
                 const struct encode_plan *plan)
{
    if (plan->transfer == ENCODE_BASE64) {
        encode_base64(out, text);
    } else if (text.len == 0) {
        buf_puts(out, "\r\n");
    } else if (buf_room(out, plan->qp_room)) {
        put_qp(out, text);
    }
}

void encode_qp(struct buf *out, struct span text)
{
    struct encode_plan plan = encode_plan(text);

    plan.transfer = ENCODE_QP;
    encode_body(out, text, &plan);
}
