/*
 * test - what every unit test includes: cmocka in its order, and no more.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/span.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* Fails with both texts shown. */
#define assert_span(got, want)                                                 \
    do {                                                                       \
        struct span got_ = (got);                                              \
        const char *want_ = (want);                                            \
        if (!span_is(got_, want_)) {                                           \
            fail_msg("got \"%.*s\", want \"%s\"", SPAN_ARG(got_), want_);      \
        }                                                                      \
    } while (0)

#endif
