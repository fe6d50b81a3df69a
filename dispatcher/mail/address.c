/*
 * address - checked from the outside in.
 *
 * First the bytes, which do not depend on where they stand; then the cut at
 * the one "@"; then the local part as a dot-atom and the domain as labels. A
 * domain outside ASCII is converted and the result is checked again, because
 * the mapping of IDNA may yield any ASCII byte (a full-width "@" becomes "@").
 */
#include "mail/address.h"

#include <idn2.h>

#include "mail/chars.h"

enum { LABEL_MAX = 63 };

/* Printable bytes that no address of ours has, and what to say of them. */
static const struct {
    const char *bytes;
    const char *why;
} troubles[] = {
    {" ", "has a space in it"},
    {"<>", "has an angle bracket in it; give the bare address"},
    {"\"", "has a quoted local part, which is not accepted"},
    {"[]", "has an address literal, which is not accepted; use a domain"},
    {",;", "has a comma or semicolon in it; give one address"},
    {"()", "has a parenthesis in it; give the address without a comment"},
    {"\\", "has a backslash in it"},
    {":", "has a colon in it"},
};

static const char too_long[] = "is longer than 254 bytes (in ASCII)";
static const char label_too_long[] =
    "has a part of more than 63 bytes (in ASCII) in its domain";

static const char *trouble_of(char c)
{
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        if (strchr(troubles[i].bytes, c) != NULL) {
            return troubles[i].why;
        }
    }
    return NULL;
}

/* What is wrong with the bytes wherever they stand, or NULL; sets the
 * place of the last "@". */
static const char *bytes_trouble(struct span s, size_t *at)
{
    size_t ats = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned classes = char_classes(s.ptr[i]);

        if (classes & (CHAR_ATEXT | CHAR_HIGH) || s.ptr[i] == '.') {
            continue;
        }
        if (classes & CHAR_CONTROL) {
            return "has a control byte in it, such as a line break";
        }
        if (s.ptr[i] != '@') {
            return trouble_of(s.ptr[i]);
        }
        *at = i;
        ats++;
    }
    if (ats == 0) {
        return s.len > 0 ? "has no @" : "is empty";
    }
    return ats > 1 ? "has more than one @" : NULL;
}

/* The control characters and line separators of Unicode. */
static bool is_control(const char *at, size_t length)
{
    return (length == 2 && at[0] == '\xc2' && (at[1] & 0x60) == 0) ||
           (length == 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 ||
                            memcmp(at, "\xe2\x80\xa9", 3) == 0));
}

/* RFC 5322 §3.2.3 dot-atom, and UTF-8 as in RFC 6532 §3.2. */
static const char *local_trouble(struct span local, bool *all_ascii)
{
    const char *at = local.ptr;
    const char *end = at + local.len;
    size_t length = 0;
    char before = '.';
    bool ok = true;

    if (local.len == 0) {
        return "has nothing before the @";
    }
    if (local.len > ADDRESS_LOCAL_MAX) {
        return "has more than 64 bytes before the @";
    }
    if (looks_encoded(local)) {
        return "looks like an encoded word, which is not accepted";
    }
    for (; at < end; at += length) {
        length = (signed char)*at > 0 ? 1 : utf8_length(at, end, &ok);
        if (!ok) {
            return "is not well-formed UTF-8";
        }
        if (length > 1 && is_control(at, length)) {
            return "has a control character in it";
        }
        if (*at == '.' && (before == '.' || at + 1 == end)) {
            return "has a dot at an end of its local part, or two in a row";
        }
        *all_ascii = *all_ascii && length == 1;
        before = *at;
    }
    return NULL;
}

static const char *label_trouble(struct span label)
{
    if (label.len == 0) {
        return "has an empty part in its domain, or a dot at an end of it";
    }
    if (label.len > LABEL_MAX) {
        return label_too_long;
    }
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-') {
        return "has a domain part that begins or ends with a hyphen";
    }
    for (size_t i = 0; i < label.len; i++) {
        if (!(char_classes(label.ptr[i]) & CHAR_LDH)) {
            return "has a domain with other than letters, digits and hyphens";
        }
    }
    return NULL;
}

static bool is_number(struct span label)
{
    for (size_t i = 0; i < label.len; i++) {
        if (label.ptr[i] < '0' || label.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}

/* An ASCII domain: labels of letters, digits and hyphens (RFC 1123 §2.1). */
static const char *domain_trouble(struct span domain)
{
    struct span label = domain;
    struct span rest = domain;
    const char *why = NULL;
    const char *dot = NULL;

    if (domain.len == 0) {
        return "has nothing behind the @";
    }
    do {
        dot = memchr(rest.ptr, '.', rest.len);
        label = rest;
        if (dot != NULL) {
            label.len = (size_t)(dot - rest.ptr);
            rest = span_make(dot + 1, rest.len - label.len - 1);
        }
        why = label_trouble(label);
    } while (why == NULL && dot != NULL);
    if (why == NULL && is_number(label)) {
        return "has a number as the last part of its domain";
    }
    return why;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (char_classes(s.ptr[i]) & CHAR_HIGH) {
            return false;
        }
    }
    return true;
}

/* What libidn2 says of a domain, in words. */
static const char *idn_trouble(int code)
{
    switch (code) {
    case IDN2_OK: return NULL;
    case IDN2_TOO_BIG_DOMAIN: return too_long;
    case IDN2_TOO_BIG_LABEL: return label_too_long;
    default: return "has a domain that is not a valid international name";
    }
}

/* The domain, which fits ADDRESS_MAX, as A-labels that fit room bytes; NULL
 * or what is wrong with it. */
static const char *put_a_labels(struct span domain, size_t room,
                                struct buf *out)
{
    const char *why = NULL;
    char text[ADDRESS_MAX + 1];
    char *ascii = NULL;

    memcpy(text, domain.ptr, domain.len);
    text[domain.len] = '\0';
    why = idn_trouble(idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&ascii,
                                     IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL));
    if (why != NULL) {
        return why;
    }
    why = domain_trouble(span_of(ascii));
    if (why == NULL && strlen(ascii) > room) {
        why = too_long;
    }
    if (why == NULL) {
        buf_puts(out, ascii);
    }
    idn2_free(ascii);
    return why;
}

/* Checks all; when out is not NULL, also appends the ASCII form of what can
 * have one. */
static enum address_kind check(struct span address, struct buf *out,
                               const char **why)
{
    char memory[ADDRESS_MAX];
    struct buf a_labels;
    bool local_is_ascii = true;
    struct span local = address;
    struct span domain = address;
    size_t at = 0;

    *why = address.len > ADDRESS_MAX ? too_long : bytes_trouble(address, &at);
    if (*why != NULL) {
        return ADDRESS_INVALID;
    }
    local.len = at;
    domain = span_make(address.ptr + at + 1, address.len - at - 1);
    *why = local_trouble(local, &local_is_ascii);
    if (*why != NULL) {
        return ADDRESS_INVALID;
    }
    buf_wrap(&a_labels, memory, sizeof(memory));
    if (is_ascii(domain)) {
        *why = domain_trouble(domain);
    } else {
        *why = put_a_labels(domain, ADDRESS_MAX - at - 1, &a_labels);
        domain = buf_view(&a_labels);
    }
    if (*why != NULL) {
        return ADDRESS_INVALID;
    }
    if (!local_is_ascii) {
        *why = "has letters outside ASCII before the @, which the relay "
               "must support (SMTPUTF8)";
        return ADDRESS_NEEDS_SMTPUTF8;
    }
    if (out != NULL && buf_room(out, at + 1 + domain.len)) {
        buf_put(out, address.ptr, at + 1);
        buf_span(out, domain);
    }
    return a_labels.len > 0 ? ADDRESS_IDN_DOMAIN : ADDRESS_OK;
}

enum address_kind address_check(struct span address, const char **why)
{
    const char *reason = NULL;
    enum address_kind kind = check(address, NULL, &reason);

    if (why != NULL && reason != NULL) {
        *why = reason;
    }
    return kind;
}

bool address_is_valid(struct span address)
{
    return address_check(address, NULL) == ADDRESS_OK;
}

bool address_to_ascii(struct span address, struct buf *out)
{
    const char *reason = NULL;

    return check(address, out, &reason) <= ADDRESS_IDN_DOMAIN && buf_ok(out);
}
