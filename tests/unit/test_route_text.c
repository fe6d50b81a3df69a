/*
 * test_route_text - the route statement: each role in its place, its text
 * untouched; and the role files, those of an operator over ours.
 */
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/problems.h"
#include "store/role_keys.h"
#include "store/route.h"

#define ROLE(name, sql)                                                        \
    {                                                                          \
        (char[]){name}, (char[]){sql}, NULL                                    \
    }

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

static void test_no_roles(void **state)
{
    char *text = route_compose("route", NULL, NULL, 0);

    (void)state;
    assert_non_null(text);
    assert_int_equal(count_of(text, "--{roles}"), 0);
    assert_int_equal(count_of(text, "(WITH pass AS"), 0);
    mem_free(text);
}

static void test_each_role_has_its_number(void **state)
{
    static const char *const templates[] = {"route", "fanout_step"};
    const struct route_role roles[] = {
        ROLE("owner", "SELECT 'owner of all'\n"),
        ROLE("watcher", "SELECT 'watcher of all'\n"),
    };
    const int ids[] = {7, 1023};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(templates); i++) {
        char *text = route_compose(templates[i], roles, ids, 2);
        const char *owner = strstr(text, "SELECT 'owner of all'\n");
        const char *watcher = strstr(text, "SELECT 'watcher of all'\n");

        assert_non_null(owner);
        assert_non_null(watcher);
        assert_int_equal(count_of(text, "7::smallint AS role_id"), 1);
        assert_int_equal(count_of(text, "1023::smallint AS role_id"), 1);
        /* In the order given, each behind its own number. */
        assert_true(strstr(text, "7::smallint AS role_id") < owner);
        assert_true(owner < strstr(text, "1023::smallint AS role_id"));
        assert_true(strstr(text, "1023::smallint AS role_id") < watcher);
        /* Nothing is left to fill in. */
        assert_int_equal(count_of(text, "{role_id}"), 0);
        assert_int_equal(count_of(text, "--{role}"), 0);
        assert_int_equal(count_of(text, "--{roles}"), 0);
        mem_free(text);
    }
}

/* Where there are many, each stands once in a group that has its bit. */
static void test_many_roles_stand_in_groups(void **state)
{
    struct route_role roles[14];
    int ids[COUNT_OF(roles)];
    char name[] = "any";
    char *text = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        roles[i] = (struct route_role){
            name, mem_printf("SELECT 'role %d.'\n", (int)i), NULL};
        ids[i] = (int)i + 1;
    }
    ids[12] = 62;
    ids[13] = 300;
    text = route_compose("route", roles, ids, 8);
    assert_int_equal(count_of(text, "OFFSET 0) AS g\n"), 0);
    mem_free(text);

    text = route_compose("route", roles, ids, COUNT_OF(roles));
    assert_int_equal(count_of(text, "OFFSET 0) AS g\n"), 3);
    assert_int_equal(count_of(text, "& 126 <> 0"), 1);
    assert_int_equal(count_of(text, "& 8064 <> 0"), 1);
    /* The last two share a bit: theirs and that of their group. */
    assert_int_equal(count_of(text, "& 4611686018427387904 <> 0"), 3);
    assert_int_equal(count_of(text, "'\\x0c'"), 1);
    assert_int_equal(count_of(text, "'\\x3e'"), 1);
    assert_int_equal(count_of(text, "'\\xff'"), 1);
    assert_int_equal(count_of(text, "{role"), 0);
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        assert_int_equal(count_of(text, roles[i].sql), 1);
        mem_free(roles[i].sql);
    }
    mem_free(text);
}

/* A role's own text stands as it was written, whatever it holds. */
static void test_a_role_is_never_looked_into(void **state)
{
    static const char *const hostile[] = {
        "SELECT '{role_id}'\n",
        "--{role}\nSELECT 1\n",
        "--{roles}\nSELECT 2\n",
        "SELECT '%s%n{role_id}--{roles}' -- no newline at its end",
    };
    const int ids[] = {1, 2, 3, 4};
    struct route_role roles[COUNT_OF(hostile)];
    char name[] = "any";
    char *text = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        roles[i] = (struct route_role){name, mem_strdup(hostile[i]), NULL};
    }
    text = route_compose("route", roles, ids, COUNT_OF(hostile));
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        assert_int_equal(count_of(text, hostile[i]), 1);
        mem_free(roles[i].sql);
    }
    assert_int_equal(count_of(text, "(WITH pass AS"), COUNT_OF(hostile));
    mem_free(text);
}

/* ---- keys that a role reads -------------------------------------------- */

static const struct {
    const char *sql;
    const char *want; /* "line:key " for each */
} readings[] = {
    {"SELECT pass.payload ->> 'a', payload->'b'", "1:a 1:b "},
    {"SELECT PASS.PAYLOAD\n ->> 'a'", "2:a "},
    {"SELECT payload #>> '{a,b}', payload #> '{ \"c\" }'", "1:a 1:c "},
    {"SELECT 1 WHERE payload ? 'a' AND payload ?| array['b', 'c'] AND 'd' = "
     "'e'",
     "1:a 1:b 1:c "},
    {"WHERE payload @> '{\"a\": {\"b\": 1}, \"c\": [{\"d\": 1}]}'", "1:a 1:c "},
    {"SELECT jsonb_extract_path_text(pass.payload, 'a', 'b')", "1:a "},
    {"SELECT (pass.payload) ->> 'a', payload['b']", "1:a 1:b "},
    {"SELECT payload /* not ->> 'x' */ -- nor ->> 'y'\n ->> 'a'", "2:a "},
    {"SELECT 'payload ->> ''x''', \"other payload\" ->> 'y'", ""},
    {"SELECT a ->> 'x', payload, payload ->> p.y, payloads ->> 'z'", ""},
    {"SELECT payload -> 'a' ->> 'b'", "1:a "},
    {"SELECT payload ->>", ""},
    {"SELECT payload ->> 'never closed", "1:never closed "},
    {"SELECT payload @> '{\"a", ""},
    {"SELECT payload ? '' /* no end", ""},
    {"", ""},
};

static void note_key(void *ctx, struct span key, int line)
{
    char *text = ctx;

    snprintf(text + strlen(text), 200 - strlen(text), "%d:%.*s ", line,
             SPAN_ARG(key));
}

static void test_keys_that_roles_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(readings); i++) {
        char got[200] = "";

        role_keys(readings[i].sql, note_key, got);
        if (strcmp(got, readings[i].want) != 0) {
            fail_msg("%s: got \"%s\", want \"%s\"", readings[i].sql, got,
                     readings[i].want);
        }
    }
}

/* ---- role files ---------------------------------------------------------- */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_route_text.%d", (int)getpid());
    return mkdir(folder, 0700);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"watcher.sql", "extra.sql", "empty.sql",
                                        ".hidden.sql", "notes.txt"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file = NULL;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const struct route_role *find(const struct route_role *roles,
                                     const char *name)
{
    for (; roles->name != NULL; roles++) {
        if (strcmp(roles->name, name) == 0) {
            return roles;
        }
    }
    return NULL;
}

static size_t count_roles(const struct route_role *roles)
{
    size_t count = 0;

    while (roles[count].name != NULL) {
        count++;
    }
    return count;
}

static void test_files(void **state)
{
    struct problems problems;
    struct route_role *ours = NULL;
    struct route_role *both = NULL;

    (void)state;
    problems_init(&problems);
    ours = route_roles_load(NULL, &problems);
    assert_non_null(find(ours, "watcher"));
    assert_non_null(find(ours, "addressee"));

    write_file("watcher.sql", "SELECT 'mine'");
    write_file("extra.sql", "SELECT 'new'\n");
    write_file("notes.txt", "no role");
    write_file(".hidden.sql", "an editor's leavings");
    both = route_roles_load(folder, &problems);
    assert_int_equal(problems.errors, 0);
    assert_string_equal(find(both, "watcher")->sql, "SELECT 'mine'\n");
    assert_string_equal(find(both, "extra")->sql, "SELECT 'new'\n\n");
    assert_int_equal(count_roles(both), count_roles(ours) + 1);
    route_roles_free(both);
    route_roles_free(ours);
    problems_release(&problems);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct problems problems;
    struct route_role *roles = NULL;

    (void)state;
    problems_init(&problems);
    write_file("empty.sql", "");
    roles = route_roles_load(folder, &problems);
    assert_int_equal(problems.errors, 1);
    assert_non_null(strstr(problems.items[0].file, "empty.sql"));
    route_roles_free(roles);

    roles = route_roles_load("/nowhere/at/all", &problems);
    assert_int_equal(problems.errors, 2);
    assert_non_null(find(roles, "watcher")); /* ours are there all the same */
    route_roles_free(roles);
    problems_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_roles),
        cmocka_unit_test(test_each_role_has_its_number),
        cmocka_unit_test(test_many_roles_stand_in_groups),
        cmocka_unit_test(test_a_role_is_never_looked_into),
        cmocka_unit_test(test_keys_that_roles_read),
        cmocka_unit_test_setup_teardown(test_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read,
                                        make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
