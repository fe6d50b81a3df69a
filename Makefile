#: Postbatch: notification mail, dispatched in batches.
#:
#:   make             build build/postbatch, build/postbatch-sink and the rest
#:   make demo        install what is missing, build, run real events, show mail
#:   make test        install what is missing, build, run all tests
#:   make check-asan  the same tests under AddressSanitizer and UBSan
#:   make test-long   the tests that take longer than a minute each
#:   make fuzz        fuzz the parsers (FUZZ_SECONDS= per target, default 60)
#:   make bench       what mails cost, and what others' do, with pictures:
#:                    build/bench/ (a quarter of an hour)
#:   make bench-quick the most of it within a minute
#:   make bench-lanes SMTP alone: lanes, libcurl and smtp-source
#:   make profile     where a mail's microseconds go, by perf
#:                    (bench/postbatch-bench --help has all the options)
#:   make bench-poison what it costs when every tenth event is poison
#:   make bench-compose instructions and CPU time of composing a letter
#:   make screenshots the README's pictures: letters and preview, by Chromium
#:   make layers      prove the include law (who may include whom)
#:   make lint        clang-tidy and cppcheck
#:   make format      clang-format over all C; format-check only looks
#:   make deps        install the Debian packages everything above needs
#:   make install     DESTDIR= PREFIX=/usr/local
#:   make clean       remove build/
#:
#: Variables: BUILD=build  SAN=address,undefined  WERROR=1  OPT=-O2  V=1

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
OPT     ?= -O2
WERROR  ?= $(if $(CI),1,)
PYTHON  ?= python3

PACKAGES := libcurl libpq jansson libssl libcrypto libidn2 expat libmicrohttpd \
            libsystemd
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes \
            -Wmissing-prototypes -Wwrite-strings -Wpointer-arith -Wformat=2 \
            $(if $(WERROR),-Werror)
HARDEN   := $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong
CFLAGS   := -std=c11 -D_GNU_SOURCE $(OPT) -g -fno-common $(WARNINGS) $(HARDEN) \
            $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
            -fno-sanitize-recover=undefined) $(EXTRA_CFLAGS)
CPPFLAGS := -Idispatcher -I. \
            -DPOSTBATCH_SHARE='"$(PREFIX)/share/postbatch"' \
            $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDFLAGS  := $(if $(SAN),-fsanitize=$(SAN)) -Wl,-z,relro,-z,now
LDLIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -linih -lev -lm

Q := $(if $(V),,@)

LIB_SOURCES   := $(filter-out dispatcher/main.c,\
                 $(wildcard dispatcher/*.c dispatcher/*/*.c))
SINK_SOURCES  := $(wildcard bench/sink/*.c)
SMTPB_SOURCES := $(wildcard bench/smtp/*.c) bench/peers/libcurl/curl_loop.c
PEER_SOURCES  := $(wildcard bench/peers/libcurl/*.c)
COMPB_SOURCES := $(wildcard bench/compose/*.c)
UNIT_SOURCES  := $(wildcard tests/unit/test_*.c)
UNIT_HELPERS  := $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c))
BUILT_IN      := $(wildcard sql/*.sql sql/queries/*.sql sql/roles/*.sql \
                 dispatcher/preview/page/*)
ALL_C         := $(wildcard dispatcher/*.[ch] dispatcher/*/*.[ch] \
                 bench/*/*.[ch] bench/peers/*/*.[ch] tests/unit/*.[ch] \
                 tests/fuzz/*.[ch])

LIB       := $(BUILD)/libpostbatch.a
LIB_OBJS  := $(LIB_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/gen/embed.o
UNITS     := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/tests/%)
PROGRAMS  := $(BUILD)/postbatch $(BUILD)/postbatch-sink \
             $(BUILD)/bench-smtp $(BUILD)/bench-compose \
             $(BUILD)/bench-peer-libcurl

.PHONY: all help deps need-deps demo test test-long check-asan fuzz \
        bench bench-quick bench-lanes bench-poison bench-compose profile \
        screenshots layers lint format format-check install clean tests
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS)

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

# ---- building -------------------------------------------------------------

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/gen/embed.S: sql/embed.sh $(BUILT_IN)
	@mkdir -p $(@D)
	$(Q)sh sql/embed.sh $@

$(BUILD)/gen/embed.o: $(BUILD)/gen/embed.S $(BUILT_IN)
	$(Q)$(CC) -c $< -o $@

$(LIB): $(LIB_OBJS)
	@$(if $(V),,echo "  AR      $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/postbatch: $(BUILD)/dispatcher/main.o $(LIB)
	@$(if $(V),,echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/postbatch-sink: $(SINK_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	@$(if $(V),,echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/bench-smtp: $(SMTPB_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	@$(if $(V),,echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/bench-compose: $(COMPB_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	@$(if $(V),,echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/bench-peer-libcurl: $(PEER_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	@$(if $(V),,echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o \
                  $(UNIT_HELPERS:%.c=$(BUILD)/%.o) $(LIB)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

tests: $(UNITS)

-include $(shell find $(BUILD)/dispatcher $(BUILD)/bench $(BUILD)/tests \
           -name '*.d' -type f 2>/dev/null)

# ---- what a fresh machine needs --------------------------------------------

deps:
	sh tests/install-deps

# Quiet when nothing is missing, so that demo and test can always call it.
need-deps:
	@sh tests/install-deps --if-missing

# ---- running -----------------------------------------------------------------

# Sub-makes, so that the flags from pkg-config are read after the install.
demo: need-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) bench/demo/run $(BUILD)

test: need-deps
	$(Q)$(MAKE) --no-print-directory layers
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)$(PYTHON) tests/run --build $(BUILD)

test-long: need-deps
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)$(PYTHON) tests/run --build $(BUILD) --long

check-asan: need-deps
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan \
	    SAN=address,undefined OPT=-O1 all tests
	$(Q)$(PYTHON) tests/run --build $(BUILD)/asan --sanitized

BENCH = $(PYTHON) bench/postbatch-bench --build $(BUILD)

bench: need-deps
	$(Q)sh bench/install-peers --if-missing
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(BENCH) $(BENCH_OPTIONS)

bench-quick: need-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(BENCH) --quick $(BENCH_OPTIONS)

bench-poison: need-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(BENCH) --only poison $(BENCH_OPTIONS)

bench-compose: need-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) bench/compose/counts --build $(BUILD)

bench-lanes: need-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(BENCH) --only lanes $(BENCH_OPTIONS)

profile: need-deps
	$(Q)sh bench/install-peers --if-missing
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(BENCH) --profile $(BENCH_OPTIONS)

FUZZ_SECONDS ?= 60
fuzz: need-deps
	$(Q)sh tests/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS)

screenshots: need-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) tests/screenshots --build $(BUILD)

# ---- looking -----------------------------------------------------------------

layers:
	@sh tests/layers

LINT_FLAGS = -std=c11 -D_GNU_SOURCE -Idispatcher -I. \
             $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)

lint:
	@command -v clang-tidy >/dev/null && command -v cppcheck >/dev/null || \
	    { echo "lint: needs clang-tidy and cppcheck" >&2; exit 69; }
	$(Q)ls dispatcher/*.c dispatcher/*/*.c | xargs -P 2 -I FILE sh -c \
	    'clang-tidy --quiet FILE -- $(LINT_FLAGS) 2>/dev/null || exit 255'
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --suppress=missingIncludeSystem \
	    --suppress=CastIntegerToAddressAtReturn --error-exitcode=1 \
	    -Idispatcher -I. dispatcher bench/sink
	@echo "lint: clean"

format:
	clang-format -i $(ALL_C)

format-check:
	clang-format --dry-run -Werror $(ALL_C)

# ---- installing ----------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/postbatch
	install -m 755 $(BUILD)/postbatch $(DESTDIR)$(PREFIX)/bin/
	cp -r templates sql $(DESTDIR)$(PREFIX)/share/postbatch/
	rm -r $(DESTDIR)$(PREFIX)/share/postbatch/templates/screenshots

clean:
	rm -rf $(BUILD)
