/*
 * obs_answer_xml - the XML view, read by expat.
 *
 * Where we are is the depth and the names on the way: only the path
 * notifications/notification/data means something, elements of other names
 * are passed over with all that is in them. Without a document type
 * declaration there are no entities but the five of XML, so nothing can be
 * read from elsewhere and nothing grows.
 */
#include <expat.h>
#include <limits.h>

#include "base/buf.h"
#include "web/obs_answer_parts.h"

enum { DEPTH_MAX = 16 };

struct reader {
    struct obs_rows *rows;
    XML_Parser parser;
    int depth;       /* elements that are open */
    int known_depth; /* of them, from the root, those of the known path */
    bool has_key;
    struct buf key;
    struct buf text; /* content of the open data element */
};

static const char *const path[] = {"notifications", "notification", "data"};

enum { PATH_LENGTH = 3 };

static const char *find_attribute(const XML_Char **attributes, const char *name)
{
    for (; attributes[0] != NULL; attributes += 2) {
        if (strcmp(attributes[0], name) == 0) {
            return attributes[1];
        }
    }
    return NULL;
}

static bool begin_root(struct reader *r, const XML_Char **attributes)
{
    for (; attributes[0] != NULL; attributes += 2) {
        if (!obs_set_field(r->rows, attributes[0], span_of(attributes[1]))) {
            return false;
        }
    }
    return true;
}

static bool begin_data(struct reader *r, const XML_Char **attributes)
{
    const char *key = find_attribute(attributes, "key");

    if (key == NULL) {
        return obs_fail(r->rows->answer,
                        "line %lu: <data> has no attribute \"key\"",
                        XML_GetCurrentLineNumber(r->parser));
    }
    buf_clear(&r->text);
    buf_clear(&r->key);
    buf_puts(&r->key, key);
    return true;
}

static bool begin_known(struct reader *r, const XML_Char **attributes)
{
    switch (r->known_depth) {
    case 1: return begin_root(r, attributes);
    case 2:
        return obs_add_notification(
            r->rows, span_of(find_attribute(attributes, "type")),
            span_of(find_attribute(attributes, "time")));
    case 3: return begin_data(r, attributes);
    }
    return true;
}

static void on_start(void *ctx, const XML_Char *name,
                     const XML_Char **attributes)
{
    struct reader *r = ctx;
    struct obs_answer *a = r->rows->answer;
    bool is_good = true;

    if (r->depth == 0 && strcmp(name, path[0]) != 0) {
        is_good =
            obs_fail(a, "it begins with <%.40s>, expected <%s>", name, path[0]);
    } else if (r->depth == DEPTH_MAX) {
        is_good = obs_fail(a, "line %lu: elements are nested deeper than %d",
                           XML_GetCurrentLineNumber(r->parser), DEPTH_MAX);
    } else if (r->depth == r->known_depth && r->depth < PATH_LENGTH &&
               strcmp(name, path[r->depth]) == 0) {
        r->known_depth++;
        is_good = begin_known(r, attributes);
    }
    r->depth++;
    if (!is_good) {
        XML_StopParser(r->parser, XML_FALSE);
    }
}

static bool end_data(struct reader *r)
{
    return obs_check_whole(r->rows->answer, &r->key) &&
           obs_check_whole(r->rows->answer, &r->text) &&
           obs_add_pair(r->rows, buf_view(&r->key), buf_view(&r->text), false);
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;

    (void)name;
    if (r->depth == r->known_depth) {
        if (r->known_depth == PATH_LENGTH && !end_data(r)) {
            XML_StopParser(r->parser, XML_FALSE);
        }
        r->known_depth--;
    }
    r->depth--;
}

static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct reader *r = ctx;

    if (r->depth == PATH_LENGTH && r->known_depth == PATH_LENGTH) {
        buf_put(&r->text, text, (size_t)len);
    }
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_subset)
{
    struct reader *r = ctx;

    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    obs_fail(r->rows->answer,
             "line %lu: it has a document type declaration, "
             "which is not accepted",
             XML_GetCurrentLineNumber(r->parser));
    XML_StopParser(r->parser, XML_FALSE);
}

/* All at once: fed in pieces, a tag of megabytes would be looked at again with
 * every piece. */
static bool parse(struct reader *r, struct span text)
{
    if (text.len > INT_MAX) {
        return obs_fail(r->rows->answer, "it is longer than %d bytes", INT_MAX);
    }
    if (XML_Parse(r->parser, text.len > 0 ? text.ptr : "", (int)text.len,
                  XML_TRUE) == XML_STATUS_OK) {
        return true;
    }
    return obs_fail(r->rows->answer, "line %lu, column %lu: %s",
                    XML_GetCurrentLineNumber(r->parser),
                    XML_GetCurrentColumnNumber(r->parser) + 1,
                    XML_ErrorString(XML_GetErrorCode(r->parser)));
}

bool obs_read_xml(struct obs_rows *rows, struct buf *text)
{
    struct reader r = {.rows = rows};
    bool is_read = false;

    /* Whatever the declaration says: it has been made UTF-8. */
    r.parser = XML_ParserCreate("UTF-8");
    if (r.parser == NULL) {
        return obs_fail(rows->answer, "out of memory");
    }
    buf_init(&r.text, 0);
    buf_init(&r.key, 0);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    is_read = parse(&r, buf_view(text));
    XML_ParserFree(r.parser);
    buf_release(&r.text);
    buf_release(&r.key);
    return is_read;
}
