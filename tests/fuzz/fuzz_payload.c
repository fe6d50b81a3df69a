/*
 * Any bytes as the payload of an event: what the quick parser takes, jansson
 * takes too, as an equal object that prints the same (so with its keys in the
 * same order); and whatever the bytes are, payload_parse gives an object or a
 * reason.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mail/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const json_t *got, const json_t *want)
{
    char *got_text = json_dumps(got, JSON_COMPACT);
    char *want_text = json_dumps(want, JSON_COMPACT);

    if (!json_equal(got, want) || got_text == NULL || want_text == NULL ||
        strcmp(got_text, want_text) != 0) {
        abort();
    }
    free(got_text);
    free(want_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of just this size, so that reading on is noticed. */
    char *bytes = malloc(size ? size : 1);
    struct span text = span_make(bytes, size);
    struct payload_fault why = {.reason = ""};
    json_t *quick = NULL;
    json_t *want = NULL;
    json_t *payload = NULL;

    if (bytes == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    quick = payload_quick(text);
    want = json_loadb(bytes, size, JSON_ALLOW_NUL, NULL);
    payload = payload_parse(text, NULL, &why);
    if (quick != NULL) {
        compare(quick, want);
    }
    if (payload != NULL ? !json_is_object(payload) : why.reason[0] == '\0') {
        abort();
    }
    if (json_is_object(want)) {
        compare(payload, want);
    }
    json_decref(quick);
    json_decref(want);
    json_decref(payload);
    free(bytes);
    return 0;
}
