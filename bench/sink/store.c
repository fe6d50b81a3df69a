/*
 * store - what is kept of accepted mails.
 *
 * Files are not synced to disk: the sink takes no responsibility for mail, it
 * only shows what came.
 */
#include "bench/sink/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

static bool make_folder(const char *base, const char *name)
{
    char *path = mem_printf("%s%s", base, name);
    bool made = mkdir(path, 0777) == 0 || errno == EEXIST;

    mem_free(path);
    return made;
}

static bool open_log(FILE **log, const char *path)
{
    *log = path != NULL ? fopen(path, "ae") : NULL;
    return path == NULL || *log != NULL;
}

bool store_open(struct store *s, const char *maildir, bool raw,
                const char *log_path, const char *doubles_path)
{
    *s = (struct store){.maildir = maildir, .raw = raw};
    if (maildir != NULL &&
        !(make_folder(maildir, "") && make_folder(maildir, "/tmp") &&
          make_folder(maildir, "/new") && make_folder(maildir, "/cur"))) {
        return false;
    }
    return open_log(&s->log, log_path) && open_log(&s->doubles, doubles_path);
}

void store_close(struct store *s)
{
    if (s->log != NULL) {
        fclose(s->log);
    }
    if (s->doubles != NULL) {
        fclose(s->doubles);
    }
    *s = (struct store){0};
}

void store_flush(struct store *s)
{
    if (s->log != NULL) {
        fflush(s->log);
    }
    if (s->doubles != NULL) {
        fflush(s->doubles);
    }
}

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);

        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        if (wrote > 0) {
            bytes += wrote;
            n -= (size_t)wrote;
        }
    }
    return true;
}

/* Writes to temporary, then gives it its name. */
static bool write_renamed(const char *temporary, const char *path,
                          const char *bytes, size_t n)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = false;

    if (fd < 0) {
        return false;
    }
    good = write_all(fd, bytes, n);
    if (close(fd) != 0 || !good || rename(temporary, path) != 0) {
        unlink(temporary);
        return false;
    }
    return true;
}

bool store_write_file(const char *path, const char *bytes, size_t n)
{
    char *temporary = mem_printf("%s.%ld.tmp", path, (long)getpid());
    bool good = write_renamed(temporary, path, bytes, n);

    mem_free(temporary);
    return good;
}

/* Each recipient behind before, followed by after. */
static void put_recipients(struct buf *b, struct span recipients,
                           const char *before, const char *after)
{
    for (size_t at = 0; at < recipients.len;) {
        size_t n = strlen(recipients.ptr + at);

        buf_puts(b, before);
        buf_put(b, recipients.ptr + at, n);
        buf_puts(b, after);
        at += n + 1;
    }
}

static bool store_in_maildir(struct store *s, const struct stored_mail *mail)
{
    int64_t now_us = clock_wall_us();
    char *name =
        mem_printf("%lld.M%lldP%ldQ%llu.sink", (long long)(now_us / 1000000),
                   (long long)(now_us % 1000000), (long)getpid(),
                   (unsigned long long)++s->files);
    char *temporary = mem_printf("%s/tmp/%s", s->maildir, name);
    char *path = mem_printf("%s/new/%s", s->maildir, name);
    struct buf b;
    bool good = false;

    buf_init(&b, 0);
    if (!s->raw) {
        buf_puts(&b, "Return-Path: <");
        buf_span(&b, mail->sender);
        buf_puts(&b, ">\r\n");
        put_recipients(&b, mail->recipients, "Delivered-To: ", "\r\n");
        buf_printf(&b, "X-Sink: mail=%llu connection=%llu by=%s\r\n",
                   (unsigned long long)mail->number,
                   (unsigned long long)mail->connection,
                   mail->by_bdat ? "BDAT" : "DATA");
    }
    buf_span(&b, mail->content);
    good = buf_ok(&b) && write_renamed(temporary, path, b.data, b.len);
    buf_release(&b);
    mem_free(path);
    mem_free(temporary);
    mem_free(name);
    return good;
}

/* time, message id, sender, recipients (with commas), size, connection,
 * number of the mail; with tabs between. */
static bool store_in_log(struct store *s, const struct stored_mail *mail)
{
    struct buf b;
    int64_t now_us = clock_wall_us();
    bool good = false;

    buf_init(&b, 0);
    buf_printf(&b, "%lld.%06lld\t", (long long)(now_us / 1000000),
               (long long)(now_us % 1000000));
    buf_span(&b, mail->message_id);
    buf_putc(&b, '\t');
    buf_span(&b, mail->sender);
    buf_putc(&b, '\t');
    put_recipients(&b, mail->recipients, "", ",");
    buf_truncate(&b, b.len - (mail->recipients.len > 0));
    buf_printf(&b, "\t%llu\t%llu\t%llu\n", (unsigned long long)mail->size,
               (unsigned long long)mail->connection,
               (unsigned long long)mail->number);
    good = buf_ok(&b) && fwrite(b.data, 1, b.len, s->log) == b.len;
    buf_release(&b);
    return good;
}

bool store_mail(struct store *s, const struct stored_mail *mail)
{
    bool is_kept = s->maildir != NULL && (s->keep == 0 || s->files < s->keep);

    return (!is_kept || store_in_maildir(s, mail)) &&
           (s->log == NULL || store_in_log(s, mail));
}

void store_double(struct store *s, const struct stored_mail *mail)
{
    int64_t now_us = clock_wall_us();

    if (s->doubles == NULL) {
        return;
    }
    fprintf(s->doubles, "%lld.%06lld\t%.*s\t%llu\t%llu\n",
            (long long)(now_us / 1000000), (long long)(now_us % 1000000),
            SPAN_ARG(mail->message_id), (unsigned long long)mail->connection,
            (unsigned long long)mail->number);
}
