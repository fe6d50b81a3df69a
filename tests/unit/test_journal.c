/*
 * test_journal - what a killed worker leaves is exactly what it knew.
 */
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/journal.h"

static char path[64];

static int begin(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/test_journal.%d", (int)getpid());
    unlink(path);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct journal *must_open(void)
{
    char *why = NULL;
    struct journal *j = journal_open(path, &why);

    if (j == NULL) {
        fail_msg("%s", why);
    }
    return j;
}

/* Records a few letters and dies by SIGKILL, as an unlucky worker would. */
static void live_and_die(void)
{
    struct journal *j = journal_open(path, &(char *){NULL});
    struct journal_batch *b = journal_add(j, 77, 3, 500);
    const struct outcome sent = {
        .verdict = VERDICT_SENT, .code = 250, .enhanced = {2, 0, 0}};
    const struct outcome failed = {.verdict = VERDICT_FAILED,
                                   .code = 550,
                                   .enhanced = {5, 1, 1},
                                   .suppress = true};

    journal_remove(journal_add(j, 78, 1, 10));
    journal_begun(b, 0);
    journal_answered(b, 0, &sent);
    journal_begun(b, 1);
    journal_begun(b, 2);
    journal_answered(b, 2, &failed);
    journal_begun(b, 3);
    journal_returned(b, 3);
    kill(getpid(), SIGKILL);
}

static void a_killed_worker_leaves_its_record(void **state)
{
    struct journal *j = NULL;
    struct journal_batch *b = NULL;
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        live_and_die();
        _exit(1);
    }
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));

    j = must_open();
    b = journal_next(j, NULL);
    assert_non_null(b);
    assert_int_equal(b->batch_id, 77);
    assert_int_equal(b->epoch, 3);
    assert_int_equal(b->letter_count, 500);
    assert_int_equal(journal_outcome(b, 0).verdict, VERDICT_SENT);
    assert_int_equal(journal_outcome(b, 0).code, 250);
    assert_int_equal(journal_outcome(b, 1).verdict, VERDICT_UNSURE);
    assert_int_equal(journal_outcome(b, 2).verdict, VERDICT_FAILED);
    assert_int_equal(journal_outcome(b, 2).enhanced[1], 1);
    assert_true(journal_outcome(b, 2).suppress);
    assert_int_equal(journal_outcome(b, 3).verdict, VERDICT_NONE);
    assert_int_equal(journal_outcome(b, 499).verdict, VERDICT_NONE);
    assert_null(journal_next(j, b));
    journal_remove(b);
    journal_close(j);
    assert_int_equal(access(path, F_OK), -1);
}

static void it_is_full_at_its_limit(void **state)
{
    struct journal *j = must_open();

    (void)state;
    assert_null(journal_add(j, 1, 1, JOURNAL_LETTERS + 1));
    for (int i = 1; i <= JOURNAL_BATCHES; i++) {
        assert_non_null(journal_add(j, i, 1, 1));
    }
    assert_null(journal_add(j, 1000, 1, 1));
    journal_remove(journal_next(j, NULL));
    assert_non_null(journal_add(j, 1000, 1, 1));
    journal_close(j);
    assert_int_equal(access(path, F_OK), 0);
}

static void two_workers_cannot_share_it(void **state)
{
    struct journal *j = must_open();
    char *why = NULL;

    (void)state;
    assert_null(journal_open(path, &why));
    assert_non_null(strstr(why, "another worker"));
    mem_free(why);
    journal_close(j);
}

static void another_shape_is_refused(void **state)
{
    FILE *f = fopen(path, "w");
    char *why = NULL;

    (void)state;
    fputs("something else", f);
    fclose(f);
    assert_null(journal_open(path, &why));
    assert_non_null(strstr(why, "not a journal"));
    mem_free(why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_worker_leaves_its_record,
                                        begin, end),
        cmocka_unit_test_setup_teardown(it_is_full_at_its_limit, begin, end),
        cmocka_unit_test_setup_teardown(two_workers_cannot_share_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(another_shape_is_refused, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
