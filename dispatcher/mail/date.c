/*
 * date - from a count of microseconds to day, month, year and clock.
 *
 * Years are counted from 1 March, so that the leap day is the last day of its
 * year: then a plain division gives the year of a day within its century
 * (1461 days are four years) and the month of a day within its year (153 days
 * are the five months March to July, and again August to December).
 */
#include "mail/date.h"

enum {
    SECONDS_A_DAY = 86400,
    DAYS_TO_1970 = 719468, /* from 1 March of the year 0 */
    DAYS_400_YEARS = 146097,
};

#define FIRST_SECOND (-2208988800LL)  /* 1900-01-01 00:00:00 */
#define LAST_SECOND  (253402300799LL) /* 9999-12-31 23:59:59 */

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int64_t seconds_of(int64_t us)
{
    int64_t seconds = us / 1000000 - (us % 1000000 < 0);

    if (seconds < FIRST_SECOND) {
        return FIRST_SECOND;
    }
    return seconds > LAST_SECOND ? LAST_SECOND : seconds;
}

static void put_two(char *to, unsigned number)
{
    to[0] = (char)('0' + number / 10);
    to[1] = (char)('0' + number % 10);
}

static void put_clock(char *to, unsigned second_of_day)
{
    put_two(to, second_of_day / 3600);
    to[2] = ':';
    put_two(to + 3, second_of_day / 60 % 60);
    to[5] = ':';
    put_two(to + 6, second_of_day % 60);
}

/* days: since 1 March of the year 0. */
static void put_day(char *to, unsigned days)
{
    unsigned century = (4 * days + 3) / DAYS_400_YEARS;
    unsigned day_of_century = days - century * DAYS_400_YEARS / 4;
    unsigned year_of_century = (4 * day_of_century + 3) / 1461;
    unsigned day_of_year = day_of_century - year_of_century * 1461 / 4;
    unsigned month = (5 * day_of_year + 2) / 153; /* 0 = March */
    unsigned day = day_of_year - (153 * month + 2) / 5 + 1;
    unsigned year = century * 100 + year_of_century + (month >= 10);

    put_two(to, day);
    to[2] = ' ';
    memcpy(to + 3, months + 3 * ((month + 2) % 12), 3);
    to[6] = ' ';
    put_two(to + 7, year / 100);
    put_two(to + 9, year % 100);
}

void date_write(struct buf *out, int64_t us)
{
    unsigned long long seconds =
        (unsigned long long)(seconds_of(us) +
                             (int64_t)DAYS_TO_1970 * SECONDS_A_DAY);
    unsigned days = (unsigned)(seconds / SECONDS_A_DAY);
    char text[DATE_LENGTH + 1] = "Xxx, DD Mmm YYYY hh:mm:ss +0000";

    /* 1 March of the year 0 was a Wednesday. */
    memcpy(text, weekdays + 3 * ((days + 3) % 7), 3);
    put_day(text + 5, days);
    put_clock(text + 17, (unsigned)(seconds % SECONDS_A_DAY));
    buf_put(out, text, DATE_LENGTH);
}
