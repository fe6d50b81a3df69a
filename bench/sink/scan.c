/*
 * scan - one pass over mail content as it arrives.
 *
 * 64 octets at a time become four words of 64 bits that say where CR, LF, NUL
 * and 8-bit octets are; what is forbidden is then a shift and a mask, and only
 * ends of lines are visited one by one. With SSE2 a mail of 2 KB takes about a
 * fifth of a microsecond; without it the words are made an octet at a time.
 * The dot at the start of a line is looked at where the line begins; when a
 * piece of content ends just there, resume() takes it up octet by octet.
 */
#include "bench/sink/scan.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { LINE_OCTETS = 998, BLOCK = 64 };

struct marks {
    uint64_t cr;
    uint64_t lf;
    uint64_t nul;
    uint64_t high;
};

#ifdef __SSE2__
static uint64_t equal_bits(__m128i bytes, __m128i value)
{
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, value));
}

static struct marks mark(const char *block)
{
    const __m128i cr = _mm_set1_epi8('\r');
    const __m128i lf = _mm_set1_epi8('\n');
    const __m128i nul = _mm_setzero_si128();
    struct marks m = {0, 0, 0, 0};
    __m128i least = _mm_set1_epi8(-1);
    __m128i all = nul;

#pragma GCC unroll 4
    for (int i = 0; i < BLOCK; i += 16) {
        __m128i v = _mm_loadu_si128((const void *)(block + i));

        m.cr |= equal_bits(v, cr) << i;
        m.lf |= equal_bits(v, lf) << i;
        least = _mm_min_epu8(least, v);
        all = _mm_or_si128(all, v);
    }
    /* Hardly any mail has these: where they are is looked at only if so. */
    if (equal_bits(least, nul) != 0 || _mm_movemask_epi8(all) != 0) {
        for (int i = 0; i < BLOCK; i += 16) {
            __m128i v = _mm_loadu_si128((const void *)(block + i));

            m.nul |= equal_bits(v, nul) << i;
            m.high |= (uint64_t)(unsigned)_mm_movemask_epi8(v) << i;
        }
    }
    return m;
}
#else
static struct marks mark(const char *block)
{
    struct marks m = {0, 0, 0, 0};

    for (int i = 0; i < BLOCK; i++) {
        unsigned char c = (unsigned char)block[i];

        m.cr |= (uint64_t)(c == '\r') << i;
        m.lf |= (uint64_t)(c == '\n') << i;
        m.nul |= (uint64_t)(c == '\0') << i;
        m.high |= (uint64_t)(c >= 0x80) << i;
    }
    return m;
}
#endif

void scan_start(struct scan *s, bool dots)
{
    *s = (struct scan){.dots = dots, .place = dots ? SCAN_START : SCAN_MID};
    s->last[0] = '\r';
    s->last[1] = '\n';
}

bool scan_ends_line(const struct scan *s)
{
    return s->last[0] == '\r' && s->last[1] == '\n';
}

static void found(struct scan *s, enum scan_finding what, size_t at)
{
    unsigned bit = 1u << what;

    if ((s->seen & bit) == 0) {
        s->seen |= bit;
        s->fresh |= bit;
        s->where[what] = at;
    }
}

/* Octet by octet while the dot at the start of a line is undecided; returns
 * how many octets were taken. at: where p stands in the feed. */
static size_t resume(struct scan *s, const char *p, size_t n, size_t at)
{
    size_t i = 0;

    while (i < n && s->place != SCAN_MID && !s->ended) {
        char c = p[i];

        if (s->place == SCAN_START && c == '.') {
            s->place = SCAN_DOT;
            i++;
        } else if (s->place == SCAN_DOT && c == '\r') {
            s->place = SCAN_DOT_CR;
            i++;
        } else if (s->place == SCAN_DOT_CR && c == '\n') {
            s->ended = true;
            i++;
        } else {
            if (s->place == SCAN_DOT && c == '.') {
                s->stuffed++;
            } else if (s->place != SCAN_START) {
                found(s, SCAN_LONE_DOT, at + i);
            }
            s->after_cr = s->place == SCAN_DOT_CR;
            s->place = SCAN_MID;
        }
    }
    return i;
}

/* What may follow the end of a line at p[0..n): true ends the feed, either at
 * the end of DATA or because the octets run out before the dot is decided. */
static bool line_begins(struct scan *s, const char *p, size_t n, size_t at,
                        size_t *taken)
{
    *taken = 0;
    if (n > 0 && p[0] != '.') {
        return false;
    }
    s->place = SCAN_START;
    *taken = resume(s, p, n, at);
    return s->ended || s->place != SCAN_MID;
}

/* carry: the octet before this block was CR. */
static inline void note_octets(struct scan *s, const struct marks *m,
                               uint64_t valid, bool carry, size_t at)
{
    uint64_t behind_cr = (m->cr << 1) | (carry ? 1 : 0);
    const uint64_t bad[] = {
        [SCAN_BARE_CR] = behind_cr & ~m->lf & valid,
        [SCAN_BARE_LF] = m->lf & ~behind_cr & valid,
        [SCAN_NUL] = m->nul & valid,
    };

    if ((bad[SCAN_BARE_CR] | bad[SCAN_BARE_LF] | m->nul | m->high) == 0) {
        return;
    }
    for (int i = SCAN_BARE_CR; i <= SCAN_NUL; i++) {
        if (bad[i] != 0) {
            found(s, (enum scan_finding)i,
                  at + (size_t)__builtin_ctzll(bad[i]));
        }
    }
    if ((m->high & valid) != 0) {
        found(s, SCAN_EIGHT_BIT, at + (size_t)__builtin_ctzll(m->high & valid));
    }
}

/* bytes[0..n) was content: remember the last two octets of it. */
static void keep_last(struct scan *s, const char *bytes, size_t n)
{
    if (n >= 2) {
        memcpy(s->last, bytes + n - 2, 2);
    } else if (n == 1) {
        s->last[0] = s->last[1];
        s->last[1] = (unsigned char)bytes[0];
    }
}

/*
 * The lines that end in this block: their lengths and the dots behind them.
 * line: where in the feed the current line began. Returns 0 to go on, or how
 * many octets of the feed are taken when nothing behind them is to be seen.
 */
static size_t end_lines(struct scan *s, uint64_t ends, const char *bytes,
                        size_t n, size_t at, int64_t *line)
{
    for (; ends != 0; ends &= ends - 1) {
        size_t next = at + (size_t)__builtin_ctzll(ends) + 1;
        size_t taken = 0;

        if ((int64_t)next - *line - 2 > LINE_OCTETS) {
            found(s, SCAN_LONG_LINE, next - 2);
        }
        *line = (int64_t)next;
        if (s->dots && line_begins(s, bytes + next, n - next, next, &taken)) {
            return next + taken;
        }
        /* The doubled dot is no part of the line. */
        *line += (int64_t)taken;
    }
    return 0;
}

/* A piece of content that begins anywhere but at an undecided dot. */
static size_t scan_blocks(struct scan *s, const char *bytes, size_t n,
                          size_t from)
{
    int64_t line = (int64_t)from - (int64_t)s->line_len;

    for (size_t at = from; at < n; at += BLOCK) {
        char padded[BLOCK];
        size_t len = n - at < BLOCK ? n - at : BLOCK;
        /* at < n, so len is at least 1 */
        // cppcheck-suppress shiftTooManyBits
        uint64_t valid = ~(uint64_t)0 >> (BLOCK - len);
        bool carry = s->after_cr;
        const char *block = bytes + at;

        if (len < BLOCK) {
            memset(padded, 'x', BLOCK);
            memcpy(padded, block, len);
            block = padded;
        }
        struct marks m = mark(block);
        uint64_t ends = m.lf & ((m.cr << 1) | (carry ? 1 : 0)) & valid;
        size_t stop = end_lines(s, ends, bytes, n, at, &line);

        if (stop != 0) {
            /* Octets behind the end of DATA are commands, not content. */
            if (stop - at < BLOCK) {
                valid &= ~(uint64_t)0 >> (BLOCK - (stop - at));
            }
            note_octets(s, &m, valid, carry, at);
            s->line_len = 0;
            s->after_cr = false;
            return stop;
        }
        note_octets(s, &m, valid, carry, at);
        s->after_cr = (m.cr >> (len - 1)) & 1;
    }
    s->line_len = (uint64_t)((int64_t)n - line);
    return n;
}

size_t scan_feed(struct scan *s, const char *bytes, size_t n)
{
    size_t used = 0;

    s->fresh = 0;
    if (n == 0 || s->ended) {
        return 0;
    }
    if (s->place != SCAN_MID) {
        used = resume(s, bytes, n, 0);
    }
    if (!s->ended && s->place == SCAN_MID) {
        used = scan_blocks(s, bytes, n, used);
    }
    if (s->line_len > LINE_OCTETS + 2) {
        found(s, SCAN_LONG_LINE, used - 1);
    }
    keep_last(s, bytes, used);
    return used;
}
