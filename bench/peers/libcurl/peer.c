/*
 * peer - the whole job with libcurl's own mail transfer: 500 events at a time
 * by libpq, rendered, sent over eight easy handles in a multi handle on libev,
 * noted by one statement. What a C program does that follows the manuals.
 *
 *     bench-peer-libcurl HOST PORT MAILS TEMPLATES
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <libpq-fe.h>

#include "base/mem.h"
#include "bench/peers/libcurl/curl_loop.h"
#include "bench/peers/libcurl/render.h"

enum { BATCH = 500, HANDLES = 8, COLUMNS = 4 };

static const char next_sql[] =
    "SELECT e.id, e.payload, r.email, r.name FROM postbatch.event AS e"
    "  JOIN postbatch.recipient AS r"
    "    ON r.id = (e.payload ->> 'recipient')::bigint"
    " WHERE e.id > $1::bigint ORDER BY e.id LIMIT $2::int";
static const char note_sql[] =
    "INSERT INTO peer.done (event_id) SELECT unnest($1::bigint[])";

struct peer;

/* One easy handle and the mail it sends. */
struct handle {
    struct peer *peer;
    CURL *easy;
    struct curl_slist *to;
    struct buf mail;
    size_t at; /* octets given to libcurl */
};

struct peer {
    PGconn *database;
    struct curl_loop curl;
    struct handle handles[HANDLES];
    char *subject; /* templates */
    char *text;
    char *html;
    char url[300];
    PGresult *rows; /* the batch */
    int begun;      /* of its rows */
    int ended;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "peer: %s: %s\n", what, why);
    exit(EX_SOFTWARE);
}

static char *load(const char *folder, const char *name)
{
    struct buf b;
    char *path = mem_printf("%s/%s.mustache", folder, name);
    FILE *file = fopen(path, "r");
    char *text = NULL;
    int c = 0;

    if (file == NULL) {
        die(path, "cannot be read");
    }
    buf_init(&b, 0);
    while ((c = getc(file)) != EOF) {
        buf_putc(&b, (char)c);
    }
    fclose(file);
    mem_free(path);
    text = mem_strndup(b.data, b.len);
    buf_release(&b);
    return text;
}

/* ---- one mail ----------------------------------------------------------- */

/* What the templates see: the payload, and who reads it. */
static json_t *make_view(const char *payload, const char *name)
{
    json_t *view = json_loads(payload, 0, NULL);

    if (view == NULL) {
        die("payload", "not JSON");
    }
    json_object_set_new(view, "recipient",
                        json_pack("{s:s}", "greeting", name));
    json_object_set_new(view, "role", json_string("recipient"));
    return view;
}

static void put_subject(struct buf *b, const char *template, const json_t *view)
{
    buf_puts(b, "Subject: ");
    render(b, template, view, false); /* ends its line */
}

static void compose(struct handle *h, const char *id, const char *payload,
                    const char *email, const char *name)
{
    const struct peer *p = h->peer;
    struct buf *b = &h->mail;
    json_t *view = make_view(payload, name);

    buf_clear(b);
    h->at = 0;
    buf_printf(b,
               "From: Build Service <notify@example.org>\r\n"
               "To: %s <%s>\r\n"
               "Message-ID: <%s.libcurl@example.org>\r\n"
               "Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n",
               name, email, id);
    put_subject(b, p->subject, view);
    buf_puts(b, "MIME-Version: 1.0\r\n"
                "Content-Type: multipart/alternative; boundary=\"part\"\r\n"
                "\r\n--part\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    render(b, p->text, view, false);
    buf_puts(b, "\r\n--part\r\n"
                "Content-Type: text/html; charset=utf-8\r\n\r\n");
    render(b, p->html, view, true);
    buf_puts(b, "\r\n--part--\r\n");
    json_decref(view);
}

static size_t give_mail(char *memory, size_t size, size_t count, void *ctx)
{
    struct handle *h = ctx;
    size_t n = size * count;

    if (n > h->mail.len - h->at) {
        n = h->mail.len - h->at;
    }
    memcpy(memory, h->mail.data + h->at, n);
    h->at += n;
    return n;
}

/* The next mail of the batch, if any is left. */
static void begin(struct handle *h)
{
    struct peer *p = h->peer;
    const char *column[COLUMNS];

    if (p->begun == PQntuples(p->rows)) {
        return;
    }
    for (int i = 0; i < COLUMNS; i++) {
        column[i] = PQgetvalue(p->rows, p->begun, i);
    }
    p->begun++;
    compose(h, column[0], column[1], column[2], column[3]);
    curl_slist_free_all(h->to);
    h->to = curl_slist_append(NULL, column[2]);
    curl_easy_setopt(h->easy, CURLOPT_MAIL_RCPT, h->to);
    curl_easy_setopt(h->easy, CURLOPT_INFILESIZE_LARGE,
                     (curl_off_t)h->mail.len);
    curl_loop_add(&p->curl, h->easy);
}

static void ended(void *ctx, CURL *easy, CURLcode code)
{
    struct peer *p = ctx;
    struct handle *h = NULL;

    if (code != CURLE_OK) {
        die("mail", curl_easy_strerror(code));
    }
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&h);
    p->ended++;
    begin(h);
    if (p->ended == PQntuples(p->rows)) {
        ev_break(p->curl.loop, EVBREAK_ALL);
    }
}

/* ---- one batch ---------------------------------------------------------- */

static PGresult *query(struct peer *p, const char *sql, int count,
                       const char *const *values, ExecStatusType wanted)
{
    PGresult *rows =
        PQexecParams(p->database, sql, count, NULL, values, NULL, NULL, 0);

    if (PQresultStatus(rows) != wanted) {
        die("database", PQerrorMessage(p->database));
    }
    return rows;
}

static void note(struct peer *p)
{
    struct buf ids;
    const char *values[1] = {NULL};

    buf_init(&ids, 0);
    for (int i = 0; i < PQntuples(p->rows); i++) {
        buf_putc(&ids, i ? ',' : '{');
        buf_puts(&ids, PQgetvalue(p->rows, i, 0));
    }
    buf_putc(&ids, '}');
    values[0] = buf_cstr(&ids);
    PQclear(query(p, note_sql, 1, values, PGRES_COMMAND_OK));
    buf_release(&ids);
}

/* Sends up to count events behind *last; gives how many there were. */
static int send_batch(struct peer *p, char last[32], int count)
{
    char limit[16];
    const char *values[2] = {last, limit};
    int rows = 0;

    snprintf(limit, sizeof(limit), "%d", count < BATCH ? count : BATCH);
    p->rows = query(p, next_sql, 2, values, PGRES_TUPLES_OK);
    p->begun = p->ended = 0;
    rows = PQntuples(p->rows);
    if (rows > 0) {
        for (int i = 0; i < HANDLES; i++) {
            begin(&p->handles[i]);
        }
        ev_run(p->curl.loop, 0);
        note(p);
        snprintf(last, 32, "%s", PQgetvalue(p->rows, rows - 1, 0));
    }
    PQclear(p->rows);
    return rows;
}

/* ---- the program -------------------------------------------------------- */

static void set_up(struct peer *p, char **argv)
{
    snprintf(p->url, sizeof(p->url), "smtp://%s:%s/peer.example", argv[1],
             argv[2]);
    p->subject = load(argv[4], "subject");
    p->text = load(argv[4], "text");
    p->html = load(argv[4], "html");
    p->database = PQconnectdb(""); /* PGHOST and the like */
    if (PQstatus(p->database) != CONNECTION_OK) {
        die("database", PQerrorMessage(p->database));
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl_loop_init(&p->curl, EV_DEFAULT, HANDLES, ended, p);
    for (int i = 0; i < HANDLES; i++) {
        struct handle *h = &p->handles[i];

        *h = (struct handle){.peer = p, .easy = curl_easy_init()};
        buf_init(&h->mail, 0);
        curl_easy_setopt(h->easy, CURLOPT_URL, p->url);
        curl_easy_setopt(h->easy, CURLOPT_PRIVATE, h);
        curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(h->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(h->easy, CURLOPT_READFUNCTION, give_mail);
        curl_easy_setopt(h->easy, CURLOPT_READDATA, h);
        curl_easy_setopt(h->easy, CURLOPT_MAIL_FROM, "notify@example.org");
    }
}

static void tear_down(struct peer *p)
{
    for (int i = 0; i < HANDLES; i++) {
        curl_easy_cleanup(p->handles[i].easy);
        curl_slist_free_all(p->handles[i].to);
        buf_release(&p->handles[i].mail);
    }
    curl_loop_release(&p->curl);
    curl_global_cleanup();
    PQfinish(p->database);
    mem_free(p->subject);
    mem_free(p->text);
    mem_free(p->html);
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct peer p;
    char last[32] = "0";
    int left = argc == 5 ? (int)strtol(argv[3], NULL, 10) : 0;

    if (left < 1) {
        fputs("usage: bench-peer-libcurl HOST PORT MAILS TEMPLATES\n", stderr);
        return EX_USAGE;
    }
    set_up(&p, argv);
    say("ready");
    (void)getchar();
    while (left > 0) {
        int sent = send_batch(&p, last, left);

        if (sent == 0) {
            die("events", "no more of them");
        }
        left -= sent;
    }
    say("done");
    tear_down(&p);
    return EX_OK;
}
