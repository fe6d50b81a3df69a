/*
 * test_pg_binary - the wire format, byte by byte, against the documentation
 * ("COPY", binary format; array_send in arrayfuncs.c), and values that are
 * not of the shape they should be.
 */
#include "test.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/pg.h"

/* The bytes of a literal without its NUL. */
#define BYTES(text) (text), sizeof(text) - 1

static void assert_bytes(const struct buf *b, const char *want, size_t len)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->len, len);
    assert_memory_equal(b->data, want, len);
}

/* ---- what we send -------------------------------------------------------- */

static void test_params(void **state)
{
    struct pg_params p = {0};
    struct buf array;

    (void)state;
    buf_init(&array, 0);
    buf_puts(&array, "bytes");
    pg_param_int64(&p, -2);
    pg_param_int32(&p, 0x01020304);
    pg_param_int16(&p, INT16_MIN);
    pg_param_text(&p, "text");
    pg_param_text(&p, NULL);
    pg_param_binary(&p, &array);

    assert_int_equal(p.count, 6);
    assert_memory_equal(p.values[0], "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    assert_memory_equal(p.values[1], "\x01\x02\x03\x04", 4);
    assert_memory_equal(p.values[2], "\x80\x00", 2);
    assert_string_equal(p.values[3], "text");
    assert_null(p.values[4]);
    assert_ptr_equal(p.values[5], array.data);
    assert_int_equal(p.lengths[0], 8);
    assert_int_equal(p.lengths[1], 4);
    assert_int_equal(p.lengths[2], 2);
    assert_int_equal(p.lengths[5], 5);
    for (int i = 0; i < p.count; i++) {
        assert_int_equal(p.formats[i], i != 3 && i != 4);
    }
    buf_release(&array);
}

static void test_arrays(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);

    pg_array_begin(&b, PG_TYPE_INT8, 0);
    assert_bytes(&b, BYTES("\0\0\0\0"      /* dimensions */
                           "\0\0\0\1"      /* there may be NULLs */
                           "\0\0\0\x14")); /* int8 */

    pg_array_begin(&b, PG_TYPE_INT8, 2); /* clears what was there */
    pg_array_int64(&b, 1);
    pg_array_int64(&b, -1);
    assert_bytes(&b, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x14"
                           "\0\0\0\2" /* elements */
                           "\0\0\0\1" /* lower bound */
                           "\0\0\0\x08\0\0\0\0\0\0\0\1"
                           "\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff"));

    pg_array_begin(&b, PG_TYPE_INT2, 1);
    pg_array_int16(&b, 0x0102);
    assert_bytes(&b, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x15\0\0\0\1\0\0\0\1"
                           "\0\0\0\2\1\2"));

    pg_array_begin(&b, PG_TYPE_INT4, 2);
    pg_array_int32(&b, -2);
    pg_array_null(&b);
    assert_bytes(&b, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\2\0\0\0\1"
                           "\0\0\0\4\xff\xff\xff\xfe"
                           "\xff\xff\xff\xff")); /* NULL has no bytes */

    pg_array_begin(&b, PG_TYPE_TEXT, 2);
    pg_array_text(&b, SPAN_LIT("a{,}\""));
    pg_array_text(&b, SPAN_NONE); /* the empty text, not NULL */
    assert_bytes(&b, BYTES("\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
                           "\0\0\0\5a{,}\""
                           "\0\0\0\0"));
    buf_release(&b);
}

static void test_copy(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    pg_copy_begin(&b);
    assert_bytes(&b, BYTES("PGCOPY\n\377\r\n\0" /* signature */
                           "\0\0\0\0"           /* flags */
                           "\0\0\0\0"));        /* header extension */
    buf_clear(&b);
    pg_copy_row(&b, 4);
    pg_copy_int64(&b, 258);
    pg_copy_int16(&b, -3);
    pg_copy_null(&b);
    pg_copy_text(&b, SPAN_LIT("x\ty"));
    assert_bytes(&b, BYTES("\0\4"
                           "\0\0\0\x08\0\0\0\0\0\0\1\2"
                           "\0\0\0\2\xff\xfd"
                           "\xff\xff\xff\xff"
                           "\0\0\0\3x\ty"));
    buf_clear(&b);
    pg_copy_end(&b);
    assert_bytes(&b, BYTES("\xff\xff"));
    buf_release(&b);
}

/* ---- what we get --------------------------------------------------------- */

/* A result of one row and one column; len -1 is NULL. */
static PGresult *result_of(const char *bytes, int len)
{
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = (char[]){"c"}, .format = 1};

    assert_non_null(r);
    assert_true(PQsetResultAttrs(r, 1, &column));
    assert_true(PQsetvalue(r, 0, 0, (char *)(uintptr_t)bytes, len));
    return r;
}

static void test_numbers(void **state)
{
    static const struct {
        const char *bytes;
        int len;
        int64_t as64;
        int32_t as32;
        int16_t as16;
        bool truth;
    } cases[] = {
        {NULL, -1, 0, 0, 0, false},
        {"", 0, 0, 0, 0, false},
        {"\0", 1, 0, 0, 0, false},
        {"\1", 1, 0, 0, 0, true},
        {"\x80\x01", 2, 0, 0, -32767, false},
        {"\xff\xff\xff\xff", 4, 0, -1, 0, false},
        {"\1\2\3\4\5\6\7", 7, 0, 0, 0, false},
        {"\x7f\xff\xff\xff\xff\xff\xff\xff", 8, INT64_MAX, 0, 0, false},
        {"\1\2\3\4\5\6\7\10\11", 9, 0, 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        PGresult *r = result_of(cases[i].bytes, cases[i].len);

        assert_true(pg_get_int64(r, 0, 0) == cases[i].as64);
        assert_int_equal(pg_get_int32(r, 0, 0), cases[i].as32);
        assert_int_equal(pg_get_int16(r, 0, 0), cases[i].as16);
        assert_int_equal(pg_get_bool(r, 0, 0), cases[i].truth);
        PQclear(r);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *bytes;
        int64_t want;
    } cases[] = {
        {"\0\0\0\0\0\0\0\0", PG_EPOCH_US},               /* 2000-01-01 */
        {"\xff\xfc\xa2\xfe\xc4\xc8\x20\x00", 0},         /* 1970-01-01 */
        {"\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX}, /* infinity */
        {"\x80\0\0\0\0\0\0\0", INT64_MIN + PG_EPOCH_US},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        PGresult *r = result_of(cases[i].bytes, 8);

        assert_true(pg_get_time_us(r, 0, 0) == cases[i].want);
        PQclear(r);
    }
}

static void test_texts(void **state)
{
    PGresult *r = result_of("a\0b", 3);
    struct span got = pg_get_text(r, 0, 0);

    (void)state;
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.ptr, "a\0b", 3);
    PQclear(r);

    r = result_of("", 0); /* empty is not NULL */
    got = pg_get_text(r, 0, 0);
    assert_int_equal(got.len, 0);
    assert_non_null(got.ptr);
    PQclear(r);

    r = result_of(NULL, -1);
    assert_null(pg_get_text(r, 0, 0).ptr);
    PQclear(r);
}

/* What we would send comes back as it went. */
static void test_array_there_and_back(void **state)
{
    struct buf b;
    struct pg_array a;
    PGresult *r = NULL;

    (void)state;
    buf_init(&b, 0);
    pg_array_begin(&b, PG_TYPE_INT8, 3);
    pg_array_int64(&b, INT64_MIN);
    pg_array_int64(&b, 0);
    pg_array_int64(&b, INT64_MAX);
    r = result_of(b.data, (int)b.len);
    a = pg_get_array(r, 0, 0, PG_TYPE_INT8);
    assert_int_equal(a.count, 3);
    assert_true(pg_array_next_int64(&a) == INT64_MIN);
    assert_true(pg_array_next_int64(&a) == 0);
    assert_true(pg_array_next_int64(&a) == INT64_MAX);
    PQclear(r);

    pg_array_begin(&b, PG_TYPE_INT2, 2);
    pg_array_int16(&b, -1);
    pg_array_int16(&b, 499);
    r = result_of(b.data, (int)b.len);
    a = pg_get_array(r, 0, 0, PG_TYPE_INT2);
    assert_int_equal(a.count, 2);
    assert_int_equal(pg_array_next_int16(&a), -1);
    assert_int_equal(pg_array_next_int16(&a), 499);
    PQclear(r);
    buf_release(&b);
}

#define HEAD(dimensions, type) dimensions "\0\0\0\0" type
#define ONE                    "\0\0\0\1"
#define INT8                   "\0\0\0\x14"
#define ELEMENT                "\0\0\0\x08\0\0\0\0\0\0\0\7"

/* None of these may be read one byte beyond its end (AddressSanitizer). */
static void test_arrays_of_another_shape(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        int want;
    } cases[] = {
        {"empty array", BYTES(HEAD("\0\0\0\0", INT8)), 0},
        {"one element", BYTES(HEAD(ONE, INT8) ONE ONE ELEMENT), 1},
        {"no bytes", BYTES(""), -1},
        {"half a head", BYTES("\0\0\0\1\0\0"), -1},
        {"head without dimension", BYTES(HEAD(ONE, INT8)), -1},
        {"two dimensions",
         BYTES(HEAD("\0\0\0\2", INT8) ONE ONE ONE ONE ELEMENT), -1},
        {"negative dimensions", BYTES(HEAD("\xff\xff\xff\xff", INT8) ONE ONE),
         -1},
        {"another type", BYTES(HEAD(ONE, "\0\0\0\x17") ONE ONE ELEMENT), -1},
        {"fewer elements than said",
         BYTES(HEAD(ONE, INT8) "\0\0\0\2" ONE ELEMENT), -1},
        {"more elements than said", BYTES(HEAD(ONE, INT8) ONE ONE ELEMENT "x"),
         -1},
        {"no elements in a dimension", BYTES(HEAD(ONE, INT8) "\0\0\0\0" ONE),
         -1},
        {"a count below zero",
         BYTES(HEAD(ONE, INT8) "\xff\xff\xff\xff" ONE ELEMENT), -1},
        {"a count that overflows",
         BYTES(HEAD(ONE, INT8) "\x7f\xff\xff\xff" ONE ELEMENT), -1},
        {"a NULL element",
         BYTES(HEAD(ONE, INT8) "\0\0\0\2" ONE ELEMENT "\xff\xff\xff\xff"), -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        PGresult *r = result_of(cases[i].bytes, (int)cases[i].len);
        int got = pg_get_array(r, 0, 0, PG_TYPE_INT8).count;

        if (got != cases[i].want) {
            fail_msg("%s: got %d, want %d", cases[i].name, got, cases[i].want);
        }
        PQclear(r);
    }
}

static void test_a_null_array(void **state)
{
    PGresult *r = result_of(NULL, -1);

    (void)state;
    assert_int_equal(pg_get_array(r, 0, 0, PG_TYPE_INT8).count, 0);
    PQclear(r);
}

/* ---- without memory ------------------------------------------------------ */

/* An array that did not find memory says so, whichever allocation failed. */
static void test_torture(void **state)
{
    bool is_done = false;

    (void)state;
    for (long n = 0; !is_done && n < 100; n++) {
        struct buf b;

        buf_init(&b, 0);
        mem_fail_after(n);
        pg_array_begin(&b, PG_TYPE_TEXT, 200);
        for (int i = 0; i < 200; i++) {
            pg_array_text(&b, SPAN_LIT("maintainer of everything"));
        }
        mem_fail_after(-1);
        is_done = buf_ok(&b);
        if (is_done) {
            assert_int_equal(b.len, 20 + 200 * (4 + 24));
        }
        buf_release(&b);
    }
    assert_true(is_done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_array_there_and_back),
        cmocka_unit_test(test_arrays_of_another_shape),
        cmocka_unit_test(test_a_null_array),
        cmocka_unit_test(test_torture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
