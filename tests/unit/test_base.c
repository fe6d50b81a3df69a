/*
 * test_base - the small containers: span, buf, arena, map, list.
 */
#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/plural.h"

static void span_trims_and_compares(void **state)
{
    static const struct {
        const char *text;
        const char *trimmed;
    } cases[] = {
        {"", ""}, {"  ", ""}, {" a ", "a"}, {"\t\r\na b\n", "a b"}, {"x", "x"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_span(span_trim(span_of(cases[i].text)), cases[i].trimmed);
    }
    assert_true(span_equal(SPAN_NONE, SPAN_LIT("")));
    assert_false(span_equal(SPAN_LIT("a"), SPAN_LIT("b")));
    assert_true(span_starts(SPAN_LIT("abc"), SPAN_LIT("ab")));
    assert_false(span_starts(SPAN_LIT("a"), SPAN_LIT("ab")));
}

static void buf_grows_to_its_cap_and_then_breaks(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (int i = 0; i < 100; i++) {
        buf_puts(&b, "0123456789");
    }
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 1000);
    buf_putc(&b, 'x');
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 1000);
    buf_clear(&b);
    assert_true(buf_ok(&b));
    buf_u64(&b, 18446744073709551615u);
    buf_putc(&b, ' ');
    buf_printf(&b, "%d-%s", 7, "x");
    assert_string_equal(buf_cstr(&b), "18446744073709551615 7-x");
    buf_release(&b);
}

static void buf_wrapped_never_writes_past_its_memory(void **state)
{
    char memory[9] = "........";
    struct buf b;

    (void)state;
    buf_wrap(&b, memory, 4);
    buf_puts(&b, "abcd");
    buf_puts(&b, "e");
    assert_false(buf_ok(&b));
    assert_string_equal(memory, "abcd....");
    assert_null(buf_take(&b));
}

static void buf_take_gives_the_bytes_away(void **state)
{
    struct buf b;
    char *text = NULL;

    (void)state;
    buf_init(&b, 0);
    buf_puts(&b, "mine");
    text = buf_take(&b);
    assert_string_equal(text, "mine");
    assert_int_equal(b.len, 0);
    mem_free(text);
    buf_release(&b);
}

static void buf_breaks_when_memory_ends(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    mem_fail_after(0);
    buf_puts(&b, "x");
    mem_fail_after(-1);
    assert_false(buf_ok(&b));
    buf_release(&b);
}

static void arena_rewinds_and_caps(void **state)
{
    struct arena a;
    struct arena_mark mark;
    char *first = NULL;

    (void)state;
    arena_init(&a, 1024, 8192);
    first = arena_strndup(&a, "keep", 4);
    assert_non_null(first);
    mark = arena_mark(&a);
    for (int i = 0; i < 50; i++) {
        void *p = arena_alloc(&a, 100);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        memset(p, 'x', 100);
    }
    assert_null(arena_alloc(&a, 8192));
    arena_rewind(&a, mark);
    assert_string_equal(first, "keep");
    assert_non_null(arena_alloc(&a, 4000)); /* larger than a block */
    assert_null(arena_calloc(&a, SIZE_MAX, 2));
    arena_clear(&a);
    assert_true(a.held <= 1024 + 64);
    assert_string_equal(arena_printf(&a, "%d", 42), "42");
    arena_release(&a);
    assert_int_equal(a.held, 0);
}

static void arena_fails_when_memory_ends(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1024, 0);
    mem_fail_after(0);
    assert_null(arena_alloc(&a, 1));
    mem_fail_after(-1);
    assert_non_null(arena_alloc(&a, 1));
    arena_release(&a);
}

static void map_finds_what_was_put(void **state)
{
    static char names[1000][16];
    struct map ids;
    struct map words;
    size_t seen = 0;

    (void)state;
    map_init(&ids);
    map_init(&words);
    assert_null(map_get_id(&ids, 1));
    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        map_put_id(&ids, (int64_t)i * 16 - 8000, names[i]);
        map_put(&words, span_of(names[i]), names[i]);
    }
    for (int i = 0; i < 1000; i++) {
        assert_ptr_equal(map_get_id(&ids, (int64_t)i * 16 - 8000), names[i]);
        assert_ptr_equal(map_get(&words, span_of(names[i])), names[i]);
    }
    assert_null(map_get_id(&ids, 1));
    assert_null(map_get(&words, SPAN_LIT("n1000")));
    map_put_id(&ids, -8000, names[1]);
    assert_ptr_equal(map_get_id(&ids, -8000), names[1]);
    assert_int_equal(ids.count, 1000);
    for (struct map_entry *e = NULL; (e = map_next(&words, e)) != NULL;) {
        seen++;
    }
    assert_int_equal(seen, 1000);
    map_clear(&ids);
    assert_null(map_get_id(&ids, -8000));
    map_release(&ids);
    map_release(&words);
}

struct thing {
    int number;
    struct list_node node;
};

static void list_keeps_order_and_count(void **state)
{
    struct thing things[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct list l;
    int want = 2;

    (void)state;
    list_init(&l);
    assert_null(list_take(&l));
    list_append(&l, &things[1].node);
    list_append(&l, &things[0].node);
    list_prepend(&l, &things[2].node);
    assert_int_equal(l.count, 3);
    for (struct list_node *n = list_first(&l); n != NULL;
         n = list_after(&l, n)) {
        assert_int_equal(LIST_OF(n, struct thing, node)->number, want--);
    }
    list_remove(&l, &things[1].node);
    assert_ptr_equal(list_take(&l), &things[2].node);
    assert_ptr_equal(list_take(&l), &things[0].node);
    assert_true(list_is_empty(&l));
}

static void only_one_is_singular(void **state)
{
    (void)state;
    assert_string_equal(plural_s(0), "s");
    assert_string_equal(plural_s(1), "");
    assert_string_equal(plural_s(2), "s");
    assert_string_equal(plural_s(UINT64_MAX), "s");
    assert_string_equal(plural_es(0), "es");
    assert_string_equal(plural_es(1), "");
    assert_string_equal(plural_es(2), "es");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_trims_and_compares),
        cmocka_unit_test(buf_grows_to_its_cap_and_then_breaks),
        cmocka_unit_test(buf_wrapped_never_writes_past_its_memory),
        cmocka_unit_test(buf_take_gives_the_bytes_away),
        cmocka_unit_test(buf_breaks_when_memory_ends),
        cmocka_unit_test(arena_rewinds_and_caps),
        cmocka_unit_test(arena_fails_when_memory_ends),
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(list_keeps_order_and_count),
        cmocka_unit_test(only_one_is_singular),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
