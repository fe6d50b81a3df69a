/*
 * pg_binary - the wire format of the few types we exchange in binary.
 *
 * Integers are big-endian. An array is: int32 dimensions, int32 has-nulls,
 * int32 element type, then per dimension int32 size and int32 lower bound,
 * then per element int32 length (-1 for NULL) and the bytes. COPY BINARY is an
 * 11-byte signature, int32 flags, int32 extension length; per row an int16
 * count, per field an int32 length and the bytes; at the end int16 -1.
 * Source: PostgreSQL documentation, "COPY", and array_recv in arrayfuncs.c.
 */
#include "store/pg.h"

#include <endian.h>
#include <string.h>

enum { ARRAY_HEAD = 12, ARRAY_DIMENSION = 8 };

static void put16(struct buf *b, int16_t value)
{
    uint16_t wire = htobe16((uint16_t)value);

    buf_put(b, (const char *)&wire, sizeof(wire));
}

static void put32(struct buf *b, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);

    buf_put(b, (const char *)&wire, sizeof(wire));
}

static void put64(struct buf *b, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    buf_put(b, (const char *)&wire, sizeof(wire));
}

static int32_t read32(const char *at)
{
    uint32_t wire = 0;

    memcpy(&wire, at, sizeof(wire));
    return (int32_t)be32toh(wire);
}

static int64_t read64(const char *at)
{
    uint64_t wire = 0;

    memcpy(&wire, at, sizeof(wire));
    return (int64_t)be64toh(wire);
}

static int16_t read16(const char *at)
{
    uint16_t wire = 0;

    memcpy(&wire, at, sizeof(wire));
    return (int16_t)be16toh(wire);
}

/* ---- parameters ------------------------------------------------------------
 */

static int add_param(struct pg_params *p, const char *value, int length,
                     int format)
{
    int at = p->count++;

    p->values[at] = value;
    p->lengths[at] = length;
    p->formats[at] = format;
    return at;
}

void pg_param_int64(struct pg_params *p, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    int at = add_param(p, p->bytes[p->count], sizeof(wire), 1);

    memcpy(p->bytes[at], &wire, sizeof(wire));
}

void pg_param_int32(struct pg_params *p, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);
    int at = add_param(p, p->bytes[p->count], sizeof(wire), 1);

    memcpy(p->bytes[at], &wire, sizeof(wire));
}

void pg_param_int16(struct pg_params *p, int16_t value)
{
    uint16_t wire = htobe16((uint16_t)value);
    int at = add_param(p, p->bytes[p->count], sizeof(wire), 1);

    memcpy(p->bytes[at], &wire, sizeof(wire));
}

void pg_param_text(struct pg_params *p, const char *text)
{
    add_param(p, text, 0, 0);
}

void pg_param_binary(struct pg_params *p, const struct buf *value)
{
    add_param(p, value->data, (int)value->len, 1);
}

/* ---- arrays ----------------------------------------------------------------
 */

void pg_array_begin(struct buf *b, enum pg_type type, size_t count)
{
    buf_clear(b);
    put32(b, count > 0 ? 1 : 0);
    put32(b, 1); /* there may be NULLs; the server looks for itself */
    put32(b, (int32_t)type);
    if (count > 0) {
        put32(b, (int32_t)count);
        put32(b, 1);
    }
}

void pg_array_int64(struct buf *b, int64_t value)
{
    put32(b, 8);
    put64(b, value);
}

void pg_array_int16(struct buf *b, int16_t value)
{
    put32(b, 2);
    put16(b, value);
}

void pg_array_int32(struct buf *b, int32_t value)
{
    put32(b, 4);
    put32(b, value);
}

void pg_array_text(struct buf *b, struct span text)
{
    put32(b, (int32_t)text.len);
    buf_span(b, text);
}

void pg_array_null(struct buf *b)
{
    put32(b, -1);
}

static int element_size(enum pg_type type)
{
    switch (type) {
    case PG_TYPE_INT8: return 8;
    case PG_TYPE_INT4: return 4;
    case PG_TYPE_INT2: return 2;
    case PG_TYPE_TEXT: break;
    }
    return -1;
}

/* A NULL among the elements would make the whole shorter than its count. */
struct pg_array pg_get_array(const PGresult *r, int row, int column,
                             enum pg_type type)
{
    const char *at = PQgetvalue(r, row, column);
    int64_t len = PQgetlength(r, row, column);
    int64_t count = 0;

    if (PQgetisnull(r, row, column) || (len == ARRAY_HEAD && read32(at) == 0)) {
        return (struct pg_array){NULL, 0};
    }
    if (len < ARRAY_HEAD + ARRAY_DIMENSION || read32(at) != 1 ||
        read32(at + 8) != (int32_t)type) {
        return (struct pg_array){NULL, -1};
    }
    count = read32(at + ARRAY_HEAD);
    at += ARRAY_HEAD + ARRAY_DIMENSION;
    len -= ARRAY_HEAD + ARRAY_DIMENSION;
    if (count < 1 || len != count * (4 + element_size(type))) {
        return (struct pg_array){NULL, -1};
    }
    return (struct pg_array){at, (int)count};
}

int64_t pg_array_next_int64(struct pg_array *a)
{
    int64_t value = read64(a->at + 4);

    a->at += 12;
    return value;
}

int16_t pg_array_next_int16(struct pg_array *a)
{
    int16_t value = read16(a->at + 4);

    a->at += 6;
    return value;
}

/* ---- results ---------------------------------------------------------------
 */

/* A value of exactly this size, or NULL. (The length of NULL is 0.) */
static const char *value_of(const PGresult *r, int row, int column, int size)
{
    return PQgetlength(r, row, column) == size ? PQgetvalue(r, row, column)
                                               : NULL;
}

int64_t pg_get_int64(const PGresult *r, int row, int column)
{
    const char *at = value_of(r, row, column, 8);

    return at ? read64(at) : 0;
}

int32_t pg_get_int32(const PGresult *r, int row, int column)
{
    const char *at = value_of(r, row, column, 4);

    return at ? read32(at) : 0;
}

int16_t pg_get_int16(const PGresult *r, int row, int column)
{
    const char *at = value_of(r, row, column, 2);

    return at ? read16(at) : 0;
}

/* 'infinity', the greatest int64, stays what it is. */
int64_t pg_get_time_us(const PGresult *r, int row, int column)
{
    const char *at = value_of(r, row, column, 8);
    int64_t us = 0;

    if (at == NULL) {
        return 0;
    }
    return __builtin_add_overflow(read64(at), PG_EPOCH_US, &us) ? INT64_MAX
                                                                : us;
}

bool pg_get_bool(const PGresult *r, int row, int column)
{
    const char *at = value_of(r, row, column, 1);

    return at != NULL && *at != 0;
}

struct span pg_get_text(const PGresult *r, int row, int column)
{
    if (PQgetisnull(r, row, column)) {
        return SPAN_NONE;
    }
    return span_make(PQgetvalue(r, row, column),
                     (size_t)PQgetlength(r, row, column));
}

/* ---- COPY ------------------------------------------------------------------
 */

void pg_copy_begin(struct buf *b)
{
    static const char signature[] = "PGCOPY\n\377\r\n";

    buf_put(b, signature, sizeof(signature)); /* with its final NUL */
    put32(b, 0);
    put32(b, 0);
}

void pg_copy_row(struct buf *b, int columns)
{
    put16(b, (int16_t)columns);
}

/* A field of COPY is written as an element of an array is: length, bytes. */

void pg_copy_null(struct buf *b)
{
    pg_array_null(b);
}

void pg_copy_int64(struct buf *b, int64_t value)
{
    pg_array_int64(b, value);
}

void pg_copy_int16(struct buf *b, int16_t value)
{
    pg_array_int16(b, value);
}

void pg_copy_text(struct buf *b, struct span text)
{
    pg_array_text(b, text);
}

void pg_copy_end(struct buf *b)
{
    put16(b, -1);
}
